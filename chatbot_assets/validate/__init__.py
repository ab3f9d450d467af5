"""Validate: measures a model on held-out rows and decides whether it may be deployed."""
