"""What the Chinese languages share: writing and words."""
