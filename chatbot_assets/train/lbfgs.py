"""Limited-memory BFGS on one torch tensor.

``torch.optim.LBFGS`` does the same, but the first optimiser that a process makes imports torch's compiler, which costs
every refresh six seconds of a processor; SciPy's works in float64 and takes three times as long.
"""

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

SUFFICIENT_DECREASE = 1e-4
"""A step must lower the loss by this share of what the slope promises (Armijo's rule; Nocedal & Wright, eq. 3.4)."""
HALVINGS = 20
"""A step that still does not lower the loss ends the search: the rest is rounding."""

LossAndGradient = Callable[["torch.Tensor"], tuple[float, "torch.Tensor"]]
InnerProduct = Callable[["torch.Tensor", "torch.Tensor"], float]


def dot(left: "torch.Tensor", right: "torch.Tensor") -> float:
    """The scalar product of two tensors (n)."""
    return float(left.dot(right))


def minimise(
    loss: LossAndGradient, start: "torch.Tensor", *, iterations: int, memory: int = 8, inner: InnerProduct = dot
) -> "torch.Tensor":
    """Where at most so many iterations from ``start`` (n) bring a smooth convex loss; ``start`` stays as it is.

    ``memory`` is the number of past steps that stand for the curvature. Tensors may hold any representation of the
    points that is linear in them, with its ``inner`` product; gradients are with respect to that product. Nocedal &
    Wright, "Numerical Optimization" (2006), algorithms 7.4 and 7.5, with backtracking from the full step.
    """
    point = start.clone()
    value, gradient = loss(point)
    past: deque[tuple[torch.Tensor, torch.Tensor, float]] = deque(maxlen=memory)
    for _ in range(iterations):
        direction = _descent(value, gradient, past, inner)
        slope = inner(gradient, direction)
        length = 1.0
        for _ in range(HALVINGS):
            candidate = point.add(direction, alpha=length)
            new_value, new_gradient = loss(candidate)
            if new_value <= value + SUFFICIENT_DECREASE * length * slope:
                break
            length /= 2
        else:
            break
        change = new_gradient - gradient
        curvature = length * inner(direction, change)
        if curvature > 0:
            past.append((direction.mul_(length), change, 1 / curvature))
        point, value, gradient = candidate, new_value, new_gradient
    return point


def _descent(
    value: float,
    gradient: "torch.Tensor",
    past: "deque[tuple[torch.Tensor, torch.Tensor, float]]",
    inner: InnerProduct,
) -> "torch.Tensor":
    """The step that the remembered steps and changes of the gradient suggest; at first, one that the loss allows."""
    direction = gradient.neg()
    if not past:
        return direction.mul_(value / max(inner(gradient, gradient), 1e-30))
    shares = []
    for step, change, inverse in reversed(past):
        share = inverse * inner(step, direction)
        direction.add_(change, alpha=-share)
        shares.append(share)
    _, change, inverse = past[-1]
    direction.div_(inverse * inner(change, change))
    for (step, change, inverse), share in zip(past, reversed(shares), strict=True):
        direction.add_(step, alpha=share - inverse * inner(change, direction))
    return direction
