"""Serving: answers questions from deployed models, over HTTP and from the command line."""
