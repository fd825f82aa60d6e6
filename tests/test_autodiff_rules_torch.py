"""Gradients agree with those of torch on random shapes, where torch is installed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tensornet as tn
from tensornet import ops, vjp

torch = pytest.importorskip("torch")

rng = np.random.default_rng(3)


def agree(ours: Callable[..., Any], theirs: Callable[..., Any], *args: Any) -> None:
    """Compare values and pulled back random cotangents."""
    value, pullback = vjp(ours, *args)
    tensors = [torch.tensor(x, requires_grad=True) for x in args]
    wanted = theirs(*tensors)
    np.testing.assert_allclose(value, wanted.detach().numpy(), rtol=1e-9, atol=1e-12)
    u = rng.standard_normal(value.shape)
    if value.dtype.kind == "c":
        u = u + 1j * rng.standard_normal(value.shape)
    u = np.asarray(u)
    for got, want in zip(pullback(u), torch.autograd.grad(wanted, tensors, torch.tensor(u))):
        np.testing.assert_allclose(got, want.resolve_conj().numpy(), rtol=1e-9, atol=1e-12)


def real(*shape: int) -> Any:
    return rng.standard_normal(shape)


def complex_(*shape: int) -> Any:
    return real(*shape) + 1j * real(*shape)


def random_shape(most: int = 4) -> tuple[int, ...]:
    return tuple(rng.integers(1, 5, rng.integers(1, most)).tolist())


F: Any = torch.nn.functional
UNARY = [
    *((getattr(tn, name), getattr(torch, name)) for name in ("sin", "cos", "tan", "exp", "tanh")),
    *((getattr(tn, name), getattr(torch, name)) for name in ("sinh", "cosh", "square", "arctan")),
    *((getattr(tn, name), getattr(torch, name)) for name in ("abs", "reciprocal", "arcsinh")),
]
REAL = [
    *((getattr(ops, name), getattr(F, name)) for name in ("relu", "elu", "silu", "softplus")),
    *((getattr(ops, name), getattr(F, name)) for name in ("gelu", "leaky_relu", "sigmoid")),
    (lambda x: ops.gelu(x, approximate="tanh"), lambda x: F.gelu(x, approximate="tanh")),
    (tn.erf, torch.erf),
    (lambda x: tn.clip(x, -0.5, 0.5), lambda x: x.clamp(-0.5, 0.5)),
    (tn.expm1, torch.expm1),
    (lambda x: tn.log_softmax(x, 0), lambda x: x.log_softmax(0)),
    (lambda x: tn.softmax(x, -1), lambda x: x.softmax(-1)),
    (lambda x: tn.logsumexp(x, 0), lambda x: x.logsumexp(0)),
    (lambda x: tn.max(x, 0), lambda x: x.amax(0)),
    (lambda x: tn.min(x), lambda x: x.amin()),
    (lambda x: tn.prod(x, -1), lambda x: x.prod(-1)),
    (lambda x: tn.var(x, 0, keepdims=True), lambda x: x.var(0, correction=0, keepdim=True)),
    (lambda x: tn.flip(x, 0), lambda x: x.flip(0)),
    (lambda x: tn.cumsum(x, 0), lambda x: x.cumsum(0)),
    (lambda x: tn.roll(x, 2, -1), lambda x: x.roll(2, -1)),
    (lambda x: tn.tril(tn.outer(x, x).reshape((x.size, -1))), lambda x: _square(x).tril()),
]


def _square(x: Any) -> Any:
    return torch.outer(x.ravel(), x.ravel())


@pytest.mark.parametrize(("ours", "theirs"), UNARY)
def test_functions_of_real_and_complex_entries(ours: Any, theirs: Any) -> None:
    for _ in range(3):
        shape = random_shape()
        agree(ours, theirs, real(*shape))
        agree(ours, theirs, complex_(*shape))


@pytest.mark.parametrize(("ours", "theirs"), REAL)
def test_functions_of_real_entries(ours: Any, theirs: Any) -> None:
    for _ in range(3):
        agree(ours, theirs, real(*random_shape()))


def test_ties_are_shared_as_torch_shares_them() -> None:
    for axis in (0, 1, (0, 1)):
        x = rng.integers(0, 2, (3, 4)).astype(float)
        agree(lambda x, axis=axis: tn.max(x, axis), lambda x, axis=axis: x.amax(axis), x)
    a, b = (rng.integers(0, 2, (3, 4)).astype(float) for _ in range(2))
    agree(tn.maximum, torch.maximum, a, b)
    agree(tn.minimum, torch.minimum, a, b)


@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "divide"])
def test_arithmetic_of_broadcast_operands(name: str) -> None:
    for _ in range(5):
        shape = random_shape()
        other = tuple([n if rng.random() < 0.5 else 1 for n in shape])[rng.integers(len(shape)) :]
        for make in (real, complex_):
            agree(getattr(tn, name), getattr(torch, name), make(*shape), make(*other))
            agree(getattr(tn, name), getattr(torch, name), make(*other), make(*shape))


def test_powers() -> None:
    agree(tn.power, torch.pow, np.abs(real(3, 4)), real(4))
    agree(tn.power, torch.pow, complex_(3, 1), complex_(4))
    agree(lambda x: x**3, lambda x: x**3, real(3))


@pytest.mark.parametrize("make", [real, complex_])
def test_matrix_products(make: Any) -> None:
    for _ in range(4):
        m, k, n, batch = rng.integers(1, 6, 4).tolist()
        for left, right in (
            *(((m, k), (k, n)), ((k,), (k, n)), ((m, k), (k,)), ((k,), (k,))),
            *(((batch, m, k), (k, n)), ((batch, m, k), (batch, k, n)), ((m, k), (batch, k, n))),
            *(((batch, 1, m, k), (3, k, n)), ((batch, m, k), (k,)), ((k,), (batch, k, n))),
        ):
            agree(tn.matmul, torch.matmul, make(*left), make(*right))


def test_what_is_picked_and_joined() -> None:
    rows = rng.integers(0, 5, (2, 3))
    for x in (real(5, 3), complex_(5, 20)):
        agree(lambda x: x[rows], lambda x: x[torch.tensor(rows)], x)
        agree(lambda x: x[1:, None, ::2], lambda x: x[1:, None, ::2], x)
        agree(lambda x: x[x.real > 0], lambda x: x[x.real > 0], x)
    places = rng.integers(0, 3, (5, 2))
    agree(
        lambda x: tn.take_along_axis(x, places, 1),
        lambda x: torch.take_along_dim(x, torch.tensor(places), 1),
        real(5, 3),
    )
    agree(lambda *x: tn.concatenate(x, 1), lambda *x: torch.cat(x, 1), real(2, 3), real(2, 1))
    agree(lambda *x: tn.stack(x, 1), lambda *x: torch.stack(x, 1), real(2, 3), real(2, 3))
    agree(lambda x: tn.pad(x, ((0, 1), (2, 0))), lambda x: F.pad(x, (2, 0, 0, 1)), real(2, 3))
    agree(lambda x: tn.pad(x, (2, 1), "reflect"), _reflected, real(5))


def _reflected(x: Any) -> Any:
    return F.pad(x[None], (2, 1), "reflect")[0]
