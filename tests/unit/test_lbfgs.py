"""The solver of the intent model."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from chatbot_assets.train.lbfgs import minimise


def quadratic(size: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A positive definite matrix and the point where its quadratic form is least."""
    generator = torch.Generator().manual_seed(seed)
    root = torch.randn(size, size, generator=generator, dtype=torch.float64)
    return root @ root.T / size + torch.eye(size), torch.randn(size, generator=generator, dtype=torch.float64)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 30), st.integers(0, 1000))
def test_the_least_point_of_a_quadratic_is_found_from_anywhere(size: int, seed: int) -> None:
    matrix, least = quadratic(size, seed)
    start = torch.full((size,), 3.0, dtype=torch.float64)

    def loss(point: torch.Tensor) -> tuple[float, torch.Tensor]:
        gradient = matrix @ (point - least)
        return 0.5 * float((point - least).dot(gradient)), gradient

    found = minimise(loss, start, iterations=200)
    assert torch.allclose(found, least, atol=1e-4)
    assert torch.equal(start, torch.full((size,), 3.0, dtype=torch.float64))


def test_it_goes_as_low_as_torch_s_own_solver_on_a_squared_hinge() -> None:
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(200, 20, generator=generator, dtype=torch.float64)
    signs = torch.sign(rows @ torch.randn(20, generator=generator, dtype=torch.float64) + 0.3)

    def loss(point: torch.Tensor) -> tuple[float, torch.Tensor]:
        short = (1 - signs * (rows @ point)).clamp_min(0)
        return float((short * short).sum() + 2 * point.dot(point)), -2 * rows.T @ (signs * short) + 4 * point

    weights = torch.zeros(20, dtype=torch.float64)
    other = torch.optim.LBFGS([weights], max_iter=200, line_search_fn="strong_wolfe", tolerance_grad=1e-12)

    def closure() -> float:
        value, weights.grad = loss(weights)
        return value

    other.step(closure)  # type: ignore[no-untyped-call]
    assert loss(minimise(loss, torch.zeros(20, dtype=torch.float64), iterations=200))[0] == pytest.approx(
        loss(weights)[0], rel=1e-6
    )


def test_a_start_that_is_already_the_least_point_stays() -> None:
    found = minimise(lambda point: (float(point.dot(point)), 2 * point), torch.zeros(3), iterations=5)
    assert torch.equal(found, torch.zeros(3))


def test_no_iteration_raises_the_loss() -> None:
    matrix, least = quadratic(12, 1)

    def loss(point: torch.Tensor) -> tuple[float, torch.Tensor]:
        gradient = matrix @ (point - least)
        return 0.5 * float((point - least).dot(gradient)), gradient

    values = [loss(minimise(loss, torch.ones(12, dtype=torch.float64), iterations=n))[0] for n in range(8)]
    assert values == sorted(values, reverse=True)
