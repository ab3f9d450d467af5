"""Benchmarks: each is a module that prints one JSON object; what they share stands beside them."""

BENCHMARKS = {"pipeline": "from landed rows to a deployment, nothing changed, and a hundred rows more"}
"""The names that ``./chatbot bench`` takes, and what each measures."""
