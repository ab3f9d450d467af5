"""Thai words, by PyThaiNLP's newmm."""

from collections.abc import Sequence

from chatbot_assets.languages.segmenters import RunSegmenter

RESULT_LIBRARIES = ["pythainlp"]


class ThaiSegmenter:
    """The words of a text by dictionary and maximal matching within Thai character clusters; keeps ``Segmenter``."""

    def __init__(self) -> None:
        """Loads the dictionary, once per process."""
        from pythainlp.tokenize import newmm

        newmm.segment("ก")  # what it would leave for the first text
        self._segment = RunSegmenter(["Thai"], newmm.segment)

    def __call__(self, texts: Sequence[str]) -> list[list[str]]:
        return self._segment(texts)
