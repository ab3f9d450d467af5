"""Variants of an encoder: other ways to compute the same vectors, nearly, which may serve in its place.

Tables are always made with the reference, so a variant changes no model. How fast each one is on this machine is
measured once and kept in the cache; what a bot loses by one, ``chatbot_assets.validate.variant_choice`` measures.
"""

import hashlib
import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass

import numpy as np

from chatbot_assets.embed import REFERENCE
from chatbot_assets.embed.encoders import Encoder, MultilingualEncoder
from chatbot_assets.modules import ModuleRef
from resources import beside
from resources.surroundings import library_version, surroundings

AUTO = "auto"
"""Stands in a bot file for the variant that is chosen by measurement."""
BATCH = 32
"""Texts in a batch that is timed; the chat service makes none that are larger."""
ROUNDS, SINGLES = 5, 4
"""Rounds in which all variants are timed by turns, and texts that are encoded one by one in each."""
logger = logging.getLogger(__name__)
Variants = Mapping[str, Callable[[], Encoder]]


@dataclass(frozen=True)
class Speed:
    """Milliseconds for one text, on average over a few, and for a batch of ``BATCH``; each the least of some tries."""

    single_ms: float
    batch_ms: float

    @property
    def cost(self) -> float:
        """What variants are ordered by: a lone turn and one turn of a full batch count alike."""
        return self.single_ms + self.batch_ms / BATCH


def variants_of(encoder: Encoder) -> Variants:
    """What makes each variant that this machine can have, by its name.

    An encoder of the user's own may offer some by a method ``variants`` that gives such a mapping.
    """
    offered: Callable[[], Variants] | None = getattr(encoder, "variants", None)
    if offered:
        return offered()
    return _onnx_variants(encoder) if isinstance(encoder, MultilingualEncoder) else {}


def serving_encoder(encoder: ModuleRef, variant: str) -> Encoder:
    """The encoder as it is to be computed; the reference, with a line in the log, where a variant cannot be had."""
    reference: Encoder = encoder.load()
    if variant in (AUTO, REFERENCE):
        return reference
    key = encoder.key(variant)
    if key not in _made:
        try:
            _made[key] = variants_of(reference)[variant]()
        except Exception as error:
            why = "it is not available here" if isinstance(error, KeyError) else str(error).partition("\n")[0]
            logger.warning("encoder variant %s cannot serve, so the reference does: %s", variant, why)
            return reference
    return _made[key]


def measured_speeds(encoder: ModuleRef, texts: Sequence[str]) -> dict[str, Speed]:
    """The speed of the reference and of each variant that this machine can have; empty without texts or variants.

    Measured with these texts on the first call on a machine, then read from the cache until a library changes.
    """
    from chatbot_assets.embed.encoder_files import encoder_cache

    reference: Encoder = encoder.load()
    names = [REFERENCE, *variants_of(reference)]
    if not texts or len(names) == 1:
        return {}
    about = [encoder.key(encoder.version()), names, surroundings(), library_version("onnxruntime")]
    digest = hashlib.blake2b(json.dumps(about, sort_keys=True).encode(), digest_size=8).hexdigest()
    path = encoder_cache() / f"speeds-{digest}.json"
    with suppress(OSError, TypeError):
        if kept := beside.read(path):
            return {name: Speed(**found) for name, found in kept.items()}
    made = {name: serving_encoder(encoder, name) for name in names}
    had = {name: one for name, one in made.items() if name == REFERENCE or one is not reference}
    speeds = _measure(had, texts)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write(path, {name: asdict(speed) for name, speed in speeds.items()})
    except OSError as error:
        logger.warning("the speeds of the encoder's variants cannot be kept: %s", error)
    return speeds


def _measure(encoders: Mapping[str, Encoder], texts: Sequence[str]) -> dict[str, Speed]:
    asked = [texts[place % len(texts)] for place in range(BATCH)]
    for encoder in encoders.values():
        encoder.encode(asked)
    singles: dict[str, list[list[float]]] = {name: [] for name in encoders}
    batches: dict[str, list[float]] = {name: [] for name in encoders}
    # By turns: a machine that is busy for a moment is so for each of them.
    for _ in range(ROUNDS):
        for name, encoder in encoders.items():
            singles[name].append([_milliseconds(encoder, [text]) for text in asked[:SINGLES]])
            batches[name].append(_milliseconds(encoder, asked))
    return {
        name: Speed(round(float(np.min(singles[name], axis=0).mean()), 4), round(min(batches[name]), 4))
        for name in encoders
    }


def _milliseconds(encoder: Encoder, texts: Sequence[str]) -> float:
    started = time.perf_counter()
    encoder.encode(texts)
    return (time.perf_counter() - started) * 1000


def _onnx_variants(encoder: MultilingualEncoder) -> Variants:
    try:
        from chatbot_assets.embed.onnx_encoder import OnnxEncoder, available

        names = available()
    except ImportError as error:
        logger.info("no ONNX Runtime, so the encoder has no variants: %s", error)
        return {}

    def maker(name: str) -> Callable[[], Encoder]:
        return lambda: OnnxEncoder(encoder, name)

    return {name: maker(name) for name in names}


_made: dict[str, Encoder] = {}
