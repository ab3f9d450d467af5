"""Denoise: a verdict on each label."""
