"""Gradients of contractions: einsum, tensordot, ncon, expressions and programs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import tensornet as tn
from tensornet import grad, vjp
from tensornet.api import contract_expr
from tensornet.expr import from_shapes
from tensornet.ops import real
from tensornet.ops import sum as sum_of

NETWORKS = [
    ("ij,jk->ik", (2, 3), (3, 4)),
    ("ij,jk,kl->il", (2, 3), (3, 4), (4, 5)),
    ("ij,ij,ij->", (2, 3), (2, 3), (2, 3)),  # a hyperedge
    ("bi,bij,bj->b", (5, 3), (5, 3, 2), (5, 2)),
    ("ii,ij->", (3, 3), (3, 2)),  # a trace
    ("iij,jkl->kl", (3, 3, 2), (2, 4, 5)),  # one within, and an index summed on one side
    ("iii->i", (3, 3, 3)),
    ("ij->", (3, 2)),
    ("ij->ji", (3, 2)),
    ("...i,...ij->...j", (5, 3), (5, 3, 2)),
    ("...i,...i->...", (5, 3), (1, 3)),  # a stretched axis
    ("i,j,k->", (2,), (3,), (4,)),
    (",i->i", (), (3,)),
    ("ij,jk->ik", (0, 3), (3, 2)),
    ("ij,jk->ik", (2, 0), (0, 2)),
]


RING = "ij,jk,ki->", (2, 2), (2, 2), (2, 2)
DOORS: dict[str, Callable[..., Any]] = {
    "einsum": lambda *xs: tn.einsum(RING[0], *xs, dtype="float64"),
    "expression": tn.contract_expression(*RING, dtype="float64"),
    "program": tn.plan([[0, 1], [1, 2], [2, 0]], [], {0: 2, 1: 2, 2: 2}).compile("float64"),
    "contract_expr": lambda *xs: contract_expr(
        from_shapes([[0, 1], [1, 2], [2, 0]], [], RING[1:]), xs, dtype="float64"
    ),
    "pairs": lambda a, b, c: tn.einsum(
        tn.einsum("ij,jk->ik", a, b, dtype="float64"), [0, 1], c, [1, 0], [], dtype="float64"
    ),
}


def operands(shapes: Any, dtype: Any) -> list[Any]:
    rng = np.random.default_rng(5)
    made = [rng.normal(size=shape) for shape in shapes]
    if np.dtype(dtype).kind == "c":
        made = [x + 1j * rng.normal(size=x.shape) for x in made]
    return [np.asarray(x, dtype) for x in made]


def check_against_differences(f: Callable[..., Any], xs: list[Any], tolerance: float) -> None:
    """<g, D f t> = <pullback(g), t> for a random cotangent g and direction t (real parts)."""
    value, pullback = vjp(f, *xs)
    g, *directions = operands([np.shape(value), *[x.shape for x in xs]], np.complex128)
    if value.dtype.kind != "c":
        g = g.real
    directions = [t if x.dtype.kind == "c" else t.real for x, t in zip(xs, directions)]
    step = 1e-5
    ahead = f(*[x + step * t for x, t in zip(xs, directions)])
    behind = f(*[x - step * t for x, t in zip(xs, directions)])
    along = np.vdot(g, (np.asarray(ahead) - np.asarray(behind)) / (2 * step)).real
    pulled = pullback(np.asarray(g, value.dtype))
    assert [p.shape for p in pulled] == [x.shape for x in xs]
    assert [p.dtype for p in pulled] == [x.dtype for x in xs]
    back = sum([np.vdot(p, t).real for p, t in zip(pulled, directions)])
    np.testing.assert_allclose(back, along, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("case", NETWORKS, ids=lambda case: case[0])
def test_einsum_agrees_with_differences(case: Any, dtype: str) -> None:
    subscripts, *shapes = case
    check_against_differences(lambda *xs: tn.einsum(subscripts, *xs), operands(shapes, dtype), 1e-8)


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("case", NETWORKS[:9], ids=lambda case: case[0])
def test_the_gradient_of_einsum_agrees_with_differences(case: Any, dtype: str) -> None:
    subscripts, *shapes = case

    def f(*xs: Any) -> Any:
        y = tn.einsum(subscripts, *xs)
        return sum_of(real(y * tn.conj(y) * y))

    xs = operands(shapes, dtype)
    check_against_differences(lambda *xs: grad(f)(*xs), xs, 1e-6)


def test_the_interleaved_form_and_its_constants() -> None:
    a, b = operands([(2, 3), (3, 4)], "float64")
    check_against_differences(lambda a: tn.einsum(a, [0, 1], b, [1, 2], [0, 2]), [a], 1e-8)
    check_against_differences(lambda b: tn.einsum(a, [0, 1], b, [1, 2]), [b], 1e-8)


@pytest.mark.parametrize(
    ("a", "b", "axes"),
    [
        ((2, 3, 4), (4, 2, 5), ((0, 2), (1, 0))),
        ((2, 3, 4), (4, 2, 5), ((-1, 0), (0, -2))),
        ((2, 3), (3, 4), 1),
        ((2, 3), (2, 3), 2),
        ((2,), (3,), 0),
        ((2, 3, 4), (5, 3), (1, 1)),
        ((0, 3), (3, 2), 1),
    ],
)
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_tensordot_agrees_with_differences(a: Any, b: Any, axes: Any, dtype: str) -> None:
    check_against_differences(lambda a, b: tn.tensordot(a, b, axes), operands([a, b], dtype), 1e-8)


def test_a_tensordot_with_a_list_has_a_gradient() -> None:
    a, b = operands([(2, 3), (3, 4)], "float64")
    check_against_differences(lambda a: tn.tensordot(a, b.tolist(), 1), [a], 1e-8)
    check_against_differences(lambda b: tn.tensordot(a.tolist(), b, 1), [b], 1e-8)


def test_ncon_and_its_builder() -> None:
    xs = operands([(2, 3), (3, 4), (4, 2)], "float64")
    check_against_differences(lambda *xs: tn.ncon(xs, [[1, 2], [2, 3], [3, 1]]), xs, 1e-8)

    def built(a: Any, b: Any) -> Any:
        return tn.finalize(tn.NconBuilder([a, b], [[-1, 1], [1, -2]]))

    check_against_differences(built, xs[:2], 1e-8)


@pytest.mark.parametrize("door", DOORS)
def test_constants_may_be_lists(door: str) -> None:
    a, b, c = operands([(2, 2)] * 3, "float64")
    want = grad(DOORS[door], (1,))(a, b, c)[0]
    gradient = grad(lambda b: DOORS[door](a.tolist(), b, c.tolist()))(b)
    np.testing.assert_allclose(gradient, want)


def test_expressions_with_constants() -> None:
    a, b, c = operands([(2, 3), (3, 4), (4, 5)], "complex128")
    expression = tn.contract_expression("ij,jk,kl->il", a, (3, 4), c, constants=[0, 2])
    check_against_differences(lambda b: expression(b), [b], 1e-8)


def test_programs_also_sliced_ones() -> None:
    xs = operands([(4, 5), (5, 6), (6, 4)], "float64")
    sizes = dict(enumerate((4, 5, 6)))
    plan = tn.plan([[0, 1], [1, 2], [2, 0]], [], sizes)
    check_against_differences(plan.compile("float64"), xs, 1e-8)
    sliced = replace(plan, tree=replace(plan.tree, sliced=(0, 2)))
    assert sliced.compile("float64").n_slices == 24
    check_against_differences(sliced.compile("float64"), xs, 1e-8)


def test_mixed_dtypes_have_gradients_of_their_own_dtype() -> None:
    a, b = operands([(2, 3)], "float32") + operands([(3, 2)], "complex128")
    value, pullback = vjp(lambda a, b: tn.einsum("ij,jk->ik", a, b), a, b)
    pulled = pullback(np.ones((2, 2), value.dtype))
    assert [p.dtype for p in pulled] == [np.float32, np.complex128]
    np.testing.assert_allclose(pulled[0], (np.ones((2, 2)) @ b.conj().T).real, rtol=1e-6)


@pytest.mark.parametrize("door", DOORS)
def test_gradients_are_computed_in_the_dtype_of_the_value(door: str) -> None:
    large = np.full((2, 2), 1e30, np.float32)
    value, pullback = vjp(lambda x: DOORS[door](large, x, large), large * 1e-30)
    assert value.dtype == np.float64
    (pulled,) = pullback(np.float64(1e-50))
    assert pulled.dtype == np.float32
    np.testing.assert_allclose(pulled, np.full((2, 2), 2e10), rtol=1e-6)
    twice = tn.hvp(lambda x: DOORS[door](large, x, x) * 1e-30, large, large * 1e-30)
    np.testing.assert_allclose(twice, np.full((2, 2), 4), rtol=1e-6)


def test_a_real_operand_of_a_complex_computation_has_a_real_gradient() -> None:
    a = operands([(2, 2)], "float64")[0]
    gradient = grad(lambda a: real(tn.einsum("ij,ij->", a, a, dtype=complex)))(a)
    np.testing.assert_allclose(gradient, 2 * a)
    part = grad(lambda z: tn.einsum("i,i->", z, z, dtype=float, casting="unsafe"))
    with pytest.warns(np.exceptions.ComplexWarning):
        np.testing.assert_allclose(part(np.array([1 + 2j, 3j])), [2, 0])


def test_eulers_identity_on_a_whole_network() -> None:
    # a contraction is linear in each of its n operands: the sum of <x, gradient> is n * value
    xs = operands([(2, 2, 2), (2, 3), (2, 4), (2, 5), (3, 4, 5)], "float64")
    f = lambda *xs: tn.einsum("abc,ax,by,cz,xyz->", *xs)  # noqa: E731
    gradients = grad(f, tuple(range(5)))(*xs)
    each = [np.vdot(x, g) for x, g in zip(xs, gradients)]
    np.testing.assert_allclose(each, [f(*xs)] * 5)


def test_exponents_are_refused() -> None:
    with pytest.raises(TypeError, match="strip_exponent has no gradient"):
        grad(lambda x: tn.einsum("i,i->", x, x, strip_exponent=True)[0])(np.ones(3))


def test_whole_numbers_beside_are_constants() -> None:
    counts = np.array([1, 2, 3])
    assert grad(lambda x: tn.einsum("i,i->", x, counts))(np.ones(3)).tolist() == [1, 2, 3]
