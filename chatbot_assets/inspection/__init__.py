"""Inspection: what data would be worth to a bot before there is one; reads files alone, and writes nothing."""
