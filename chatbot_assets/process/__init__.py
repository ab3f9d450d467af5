"""Process: dialogues become utterances, normalised, segmented, de-duplicated and split."""
