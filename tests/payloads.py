"""Texts that a page must show as text, wherever somebody could bring them in."""

PAYLOAD = "<img src=x onerror=alert(1)><script>alert(2)</script>"
PAYLOAD_NAME = "<img src=x onerror=alert(3)>"
"""The same as a file's name, which holds no slash."""
