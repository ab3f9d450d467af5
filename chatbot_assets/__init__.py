"""The Dagster code location: a bot's stages from landing file to deployment, one folder a stage."""
