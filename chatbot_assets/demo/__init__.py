"""Demo data: what people say to a small smart home, in eight languages, with intents and answers."""

from chatbot_assets.demo.dataset import demo_rows, write_demo

__all__ = ["demo_rows", "write_demo"]
