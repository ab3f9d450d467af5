"""Feedback: what the service wrote about its conversations."""
