"""A randomised campaign against the automation: see ``bench/campaign/__main__.py``."""
