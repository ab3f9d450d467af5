"""Who acts on deployments: people, or the platform by itself."""

BY_ITSELF = ("run ", "watch", "trials (", "chat service (")
"""How the names of those begin that are no people."""
