"""Plans run by other libraries: the same numbers, gradients, slices, and clear refusals."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import oracle
import pytest

import tensornet as tn
from tensornet import backends
from tensornet.expr import Expr, from_labels
from tensornet.planner import search

A = np.arange(6.0).reshape(2, 3)
CHAIN = tn.plan(["ij", "jk", "kl"], "il", {"i": 2, "j": 3, "k": 4, "l": 5})


def library(name: str) -> Any:
    """The namespace of a library that is there; NumPy's stands for any array-API library."""
    if name == "numpy":
        return np
    module = "jax.numpy" if name == "jax" else name
    return pytest.importorskip(module, reason=f"{name} is not installed")


def random_network(rng: np.random.Generator) -> Expr:
    """Hyperedges, diagonals, lonely and output indices, scalars, extents from 0 or 1 on."""
    n_tensors, n_indices = int(rng.integers(1, 7)), int(rng.integers(1, 9))
    inputs = [rng.integers(0, n_indices, rng.integers(0, 5)).tolist() for _ in range(n_tensors)]
    used = sorted({i for term in inputs for i in term})
    least = 0 if rng.random() < 0.1 else 1
    sizes = {i: int(rng.integers(least, 4)) for i in used}
    output = [i for i in rng.permutation(used).tolist() if rng.random() < 0.3]
    return from_labels([tuple(term) for term in inputs], output, sizes)


def sliced_at_random(expr: Expr, rng: np.random.Generator) -> tn.Plan:
    indices = rng.permutation(len(expr.sizes))[: rng.integers(0, 3)]
    tree = replace(search(expr), sliced=tuple(indices.tolist()))
    return replace(tn.plan_expr(expr), tree=tree)


@pytest.mark.parametrize(
    ("name", "count"),
    [("numpy", 150), ("array_api_strict", 50), ("torch", 150), ("jax", 12)],
)
def test_the_numbers_are_those_of_the_kernels(name: str, count: int) -> None:
    xp = library(name)
    rng = np.random.default_rng(5)
    for _ in range(count):
        expr = random_network(rng)
        plan = sliced_at_random(expr, rng)
        arrays = [oracle.small_integers(rng, shape, "float32") for shape in expr.shapes]
        got = plan.run([xp.asarray(x) for x in arrays], backend=xp)
        assert tuple(got.shape) == expr.output_shape
        np.testing.assert_array_equal(np.asarray(got), plan.run(arrays))


@pytest.mark.parametrize("name", ["torch", "jax"])
def test_a_network_may_have_more_indices_than_there_are_letters(name: str) -> None:
    xp = library(name)
    terms = [(k, k + 1) for k in range(200)]
    plan = tn.plan(terms, (0, 200), dict.fromkeys(range(201), 2))
    turn = np.array([[0.6, 0.8], [-0.8, 0.6]])
    got = plan.run([xp.asarray(turn)] * 200, backend=name)
    np.testing.assert_allclose(np.asarray(got), np.linalg.matrix_power(turn, 200), atol=1e-5)


def test_steps_outside_the_slice_loop_run_once() -> None:
    count = 0

    def matmul(a: Any, b: Any) -> Any:
        nonlocal count
        count += 1
        return np.matmul(a, b)

    functions = {name: getattr(np, name) for name in ("transpose", "reshape", "sum", "stack")}
    others = {"promote_types": np.promote_types, "asarray": np.asarray, "matmul": matmul}
    tree = replace(CHAIN.tree, sliced=(3,))  # index l, on the last operand and the output
    assert tree.steps == ((0, 1), (3, 2))
    arrays = [np.ones((2, 3)), np.ones((3, 4)), np.ones((4, 5))]
    plan = replace(CHAIN, tree=tree)
    got = plan.run(arrays, backend=SimpleHashable(**functions, **others))
    np.testing.assert_array_equal(got, np.full((2, 5), 12.0))
    assert count == 1 + 5


class SimpleHashable(SimpleNamespace):
    __hash__ = object.__hash__


def test_torch_differentiates_through_a_sliced_hypernetwork() -> None:
    torch = library("torch")
    expr = Expr(((0, 0, 1), (1, 2, 3), (2, 4), (2, 5), (4, 5, 6), (7,)), (2, 6), (2,) * 8)
    plan = replace(tn.plan_expr(expr), tree=replace(search(expr), sliced=(6, 5)))
    generator = torch.Generator().manual_seed(1)
    arrays = [
        torch.randn(shape, dtype=torch.complex128, generator=generator, requires_grad=True)
        for shape in expr.shapes
    ]
    assert torch.autograd.gradcheck(lambda *x: plan.run(x, backend="torch"), arrays)


def test_torch_vectorises_over_a_batch() -> None:
    torch = library("torch")
    many = torch.arange(24.0).reshape(4, 2, 3)
    b, c = torch.ones(3, 4), torch.ones(4, 5)
    got = torch.func.vmap(lambda x: CHAIN.run([x, b, c], backend="torch"))(many)
    torch.testing.assert_close(got, many @ b @ c)


def test_jax_compiles_and_differentiates() -> None:
    jnp = library("jax")
    jax = pytest.importorskip("jax")
    plan = replace(CHAIN, tree=replace(CHAIN.tree, sliced=(1,)))
    b, c = jnp.ones((3, 4)), jnp.ones((4, 5))

    def total(a: Any) -> Any:
        return (plan.run([a, b, c], backend="jax") ** 2).sum()

    a = jnp.asarray(A, jnp.float32)
    want = jax.grad(lambda a: ((a @ b @ c) ** 2).sum())(a)
    np.testing.assert_allclose(jax.jit(jax.grad(total))(a), want, rtol=1e-6)


@pytest.mark.parametrize("name", ["numpy", "torch", "jax"])
def test_dtypes_are_promoted_as_the_library_promotes_them(name: str) -> None:
    xp = library(name)
    plan = tn.plan(["ij", "jk"], "ik", {"i": 2, "j": 3, "k": 2})
    left, right = xp.asarray(A.astype("float32")), xp.asarray(A.T.astype("complex64"))
    got = plan.run([left, right], backend=xp)
    assert got.dtype == xp.complex64
    np.testing.assert_array_equal(np.asarray(got), A @ A.T)


def test_lists_and_numpy_arrays_may_stand_among_tensors() -> None:
    torch = library("torch")
    plan = tn.plan(["ij", "j"], "i", {"i": 2, "j": 3})
    got = plan.run([torch.asarray(A), [1.0, 1.0, 1.0]], backend="torch")
    assert got.tolist() == [3.0, 12.0]
    got = plan.run([A, np.ones(3)], backend="torch")
    assert type(got) is torch.Tensor


@pytest.mark.parametrize("layout", [*oracle.LAYOUTS, "swapped", "packed"])
def test_numpy_arrays_of_any_layout_may_stand_among_tensors(layout: str) -> None:
    torch = library("torch")
    plan = tn.plan(["ij", "j"], "i", {"i": 2, "j": 3})
    for dtype in ("float64", "complex128"):  # vectors of the latter are read by aligned loads
        values = oracle.small_integers(np.random.default_rng(2), (2, 3), dtype)
        if layout == "swapped":
            left = values.astype(values.dtype.newbyteorder())
        elif layout == "packed":
            left = np.zeros(values.shape, [("tag", "u1"), ("value", dtype)])["value"]
            left[...] = values
        else:
            left = oracle.arrange(values, layout)
        got = plan.run([left, torch.ones(3, dtype=getattr(torch, dtype))], backend="torch")
        np.testing.assert_array_equal(got.numpy(), left.sum(axis=1))


def test_auto_is_the_library_whose_arrays_are_given() -> None:
    torch = library("torch")
    plan = tn.plan(["ij", "j"], "i", {"i": 2, "j": 3})
    assert type(plan.run([A, np.ones(3)], backend="auto")) is np.ndarray
    assert type(plan.run([torch.asarray(A), np.ones(3)], backend="auto")) is torch.Tensor
    assert type(plan.run([torch.asarray(A), np.ones(3)])) is np.ndarray


def test_auto_does_not_choose_between_libraries() -> None:
    torch, jnp = library("torch"), library("jax")
    plan = tn.plan(["ij", "j"], "i", {"i": 2, "j": 3})
    with pytest.raises(TypeError, match="arrays of jax, torch: name the one"):
        plan.run([torch.asarray(A), jnp.ones(3)], backend="auto")


def test_the_kernels_run_in_the_result_dtype_of_the_arrays() -> None:
    plan = tn.plan(["ij", "jk"], "ik", {"i": 2, "j": 3, "k": 2})
    ints = np.arange(6).reshape(2, 3)
    assert plan.run([ints, ints.T]).dtype == np.int64
    assert plan.run([A.astype("f4"), A.T.astype("c8")]).dtype == np.complex64
    out = np.empty((2, 2))
    assert plan.run([A, A.T], out=out, backend="numpy") is out
    np.testing.assert_array_equal(out, A @ A.T)
    with pytest.raises(TypeError, match="operand 1"):
        plan.run([A, np.full((3, 2), "x")])


def test_what_a_library_cannot_do_is_refused() -> None:
    plan = tn.plan(["ij", "j"], "i", {"i": 2, "j": 3})
    with pytest.raises(TypeError, match="out= is not there on backend numpy"):
        plan.run([A, np.ones(3)], backend=np, out=np.empty(2))
    with pytest.raises(TypeError, match="strip_exponent is not there"):
        replace(plan, strip_exponent=True).run([A, np.ones(3)], backend=np)
    with pytest.raises(ImportError, match="backend='no_such_library' needs that package"):
        plan.run([A, np.ones(3)], backend="no_such_library")
    with pytest.raises(TypeError, match="backend math has no function permute_dims"):
        plan.run([A, np.ones(3)], backend="math")
    with pytest.raises(tn.ShapeError, match=r"operand 1 has shape \(2,\), expected \(3,\)"):
        plan.run([A, np.ones(2)], backend=np)
    with pytest.raises(tn.ShapeError, match="2 operands but 1 were given"):
        plan.run([A], backend=np)


def test_progress_counts_slices_up_to_all_macs() -> None:
    plan = replace(CHAIN, tree=replace(CHAIN.tree, sliced=(1,)))
    arrays = [np.ones((2, 3)), np.ones((3, 4)), np.ones((4, 5))]
    seen: list[tuple[float, float]] = []
    plan.run(arrays, backend=np, progress=lambda *numbers: seen.append(numbers))
    assert [done for done, _ in seen] == pytest.approx([plan.macs * k / 3 for k in (1, 2, 3)])
    assert {total for _, total in seen} == {plan.macs}


def test_what_was_lowered_is_recalled_until_the_cache_is_cleared() -> None:
    first = backends.lower_to_calls(CHAIN.tree)
    assert backends.lower_to_calls(replace(CHAIN.tree)) is first
    tn.clear_cache()
    assert backends.lower_to_calls(CHAIN.tree) is not first


def test_a_network_of_no_tensors_is_one() -> None:
    assert tn.plan([], (), {}).run([], backend=np) == 1.0
