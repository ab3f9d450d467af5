"""The service page for planners: how a tenant's bots stand and fare, with plots, in plain words."""
