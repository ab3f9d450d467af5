"""What planners want to know of their bots, computed from the lake's logs: no HTTP, no words, no pictures."""
