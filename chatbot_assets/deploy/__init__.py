"""Deploy: verifies a model as the service would load it, and records its life event by event."""
