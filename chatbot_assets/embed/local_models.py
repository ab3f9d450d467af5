"""Encoders for models that the user brings; needs the extra ``encoders`` (``sentence-transformers``)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RESULT_LIBRARIES = ["sentence-transformers", "transformers", "torch"]


class SentenceTransformersEncoder:
    """Any sentence-transformers model in a local folder; never downloads.

    In a bot's YAML, below ``embed``: ``encoder: {use: "chatbot_assets.embed.local_models:SentenceTransformersEncoder",
    with: {path: …}}``.
    A model whose files change keeps its name only until its folder does: give a new model a new folder.
    """

    def __init__(self, path: str, device: str | None = None) -> None:
        """Loads the model; ``device`` None means a GPU when there is one.

        Raises:
            ValueError: when the folder or the package is missing.
        """
        if not Path(path).is_dir():
            raise ValueError(f"encoder folder {path} does not exist")
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise ValueError("this encoder needs the extra: pip install 'chatbot-assets[encoders]'") from error
        self._model = SentenceTransformer(path, device=device, local_files_only=True)
        self.name = f"sentence-transformers:{Path(path).name}"
        self.dimension = self.encode([""]).shape[1]

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of shape (texts, dimension), L2-normalised."""
        found = self._model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(found, np.float32)
