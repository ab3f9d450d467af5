"""Train: an intent model, the known questions with their answers, and calibrated thresholds, as one model folder."""
