"""Paraphrases: texts that say the same in other words, and the gate that lets them in."""
