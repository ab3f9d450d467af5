"""The reasons of decisions that took what was preset as right, as ``review_decisions`` keeps them."""

PICKED, SUGGESTED = "the user picked it", "as the judge suggests"
