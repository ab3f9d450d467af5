"""Process: dialogues become utterances, normalised, segmented, de-duplicated and split."""

PRIVACY = "chatbot_assets.process.privacy:MaskPersonalData"
"""The module that masks personal data unless a bot names another one."""
