"""ncon: google/TensorNetwork's notation and its rules for open, summed and batch labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tensornet as tn
from tensornet.expr import Expr

A = np.arange(6.0).reshape(2, 3)
B = np.arange(12.0).reshape(3, 4)


@pytest.mark.parametrize(
    ("structure", "options", "want"),
    [
        ([[-1, 1], [1, -2]], {}, A @ B),
        ([(-1, 1), (1, -2)], {"out_order": [-2, -1]}, (A @ B).T),
        ([(-1, 1), (1, -2)], {"con_order": (), "out_order": ()}, A @ B),
        ([["-a", "k"], ["k", "-b"]], {}, A @ B),
        ([["-a", "k_"], ["k_", "-b"]], {"check_network": False}, A @ B),
        ([[-1.5, 1], [1, -2]], {}, A @ B),
        ([["-z", "k"], ["k", "-b"]], {}, (A @ B).T),
        ([["-z", 1], [1, -5]], {"con_order": [1]}, (A @ B).T),
        ([np.array([-1, 1]), [1, 2]], {}, (A @ B).sum(1)),
        ([[1, 2], [3, 4]], {}, A.sum() * B.sum()),
        ([[-1, -2], [-3, -4]], {}, np.einsum("ij,kl", A, B)),
        ([[-1, 1], [1, -2]], {"con_order": [], "backend": "numpy"}, A @ B),
    ],
)
def test_pairs_of_tensors(structure: Any, options: dict[str, Any], want: Any) -> None:
    np.testing.assert_allclose(tn.ncon([A, B], structure, **options), want)


def test_shared_open_labels_are_batch_labels() -> None:
    got = tn.ncon([A, A], [[-1, 1], [-1, 1]])
    np.testing.assert_allclose(got, (A * A).sum(1))
    np.testing.assert_allclose(tn.ncon([A, A], [[-1, -2], [-1, -2]]), A * A)


def test_a_summed_label_on_three_tensors_is_summed_once() -> None:
    want = np.einsum("ia,ib,ic->abc", A, A, A)
    for order in (None, [1]):
        got = tn.ncon([A, A, A], [[1, -1], [1, -2], [1, -3]], con_order=order)
        np.testing.assert_allclose(got, want)


def test_traces_and_diagonals_of_one_tensor() -> None:
    square = np.arange(9.0).reshape(3, 3)
    assert tn.ncon([square], [[1, 1]], con_order=[1]) == 12.0
    np.testing.assert_array_equal(tn.ncon([square], [[-1, -1]]), [0, 4, 8])


def test_a_scalar_result_is_an_array_without_axes() -> None:
    got = tn.ncon([A, A], [[1, 2], [1, 2]])
    assert isinstance(got, np.ndarray)
    assert got.shape == ()
    np.testing.assert_array_equal(tn.ncon([2.0, B], [[], [-1, -2]]), 2 * B)


@pytest.mark.parametrize(
    ("structure", "options", "match"),
    [
        ([[-1, 1], [1, -2]], {"con_order": [2]}, r"not summed labels of the network: \[2\]"),
        ([[-1, 1], [1, -2]], {"con_order": [1, 1]}, r"con_order repeats \[1\]"),
        ([[-1, 1], [1, -2]], {"con_order": [-1]}, "con_order holds labels that are not summed"),
        ([[-1, 1], [1, -2]], {"out_order": [1, -1]}, "out_order holds labels that are not open"),
        ([[-1, 1], [1, -2]], {"out_order": [-1]}, r"out_order lacks the open labels \[-2\]"),
        ([[-1, 1], [1, -2]], {"out_order": [-1, -1]}, r"out_order repeats \[-1\]"),
        ([[-1, 0], [0, -2]], {}, "a number other than 0"),
        ([[-1, 1]], {}, "names 1 operand but 2 were given"),
        ([[-1, 1, 2], [1, -2]], {}, "names 3 indices"),
        ([["-a", "k_"], ["k_", "-b"]], {}, "not alphanumeric"),
        ([["-", "k"], ["k", "-b"]], {}, "not alphanumeric"),
    ],
)
def test_networks_that_make_no_sense_are_value_errors(
    structure: Any, options: dict[str, Any], match: str
) -> None:
    with pytest.raises(ValueError, match=match):
        tn.ncon([A, B], structure, **options)


def test_mistakes_end_in_one_line() -> None:
    with pytest.raises(tn.ShapeError, match="index 1 has extent 3 on operand 0"):
        tn.ncon([A, B], [[-1, 1], [-2, 1]])
    with pytest.raises(ValueError, match="backend 'jax' is not supported"):
        tn.ncon([A, B], [[-1, 1], [1, -2]], backend="jax")
    with pytest.raises(TypeError, match="operand 1: dtype object"):
        tn.ncon([A, B.astype(object)], [[-1, 1], [1, -2]])


@settings(derandomize=True, deadline=None, max_examples=150)
@given(st.data())
def test_any_network_in_any_order_is_exact(data: st.DataObject) -> None:
    names = [*range(1, 5), "a", "b", -1, -2, -3, "-x", "-y"]
    sizes = {name: data.draw(st.sampled_from([1, 2, 3])) for name in names}
    axes = st.lists(st.sampled_from(names), max_size=4, unique=data.draw(st.booleans()))
    structure = data.draw(st.lists(axes, min_size=1, max_size=5))
    present = list(dict.fromkeys([x for term in structure for x in term]))
    is_open = {x: x.startswith("-") if isinstance(x, str) else x < 0 for x in present}
    summed = [x for x in present if not is_open[x]]
    opened = sorted([x for x in present if is_open[x] and isinstance(x, int)], reverse=True)
    opened += sorted([x for x in present if is_open[x] and isinstance(x, str)])
    con_order = data.draw(st.one_of(st.none(), st.permutations(summed)))
    out_order = data.draw(st.one_of(st.none(), st.permutations(opened)))
    rng = np.random.default_rng(0)
    dtype = data.draw(st.sampled_from(["int64", "bool", "complex64"]))
    arrays = [oracle.small_integers(rng, [sizes[x] for x in t], dtype) for t in structure]
    number = {x: k for k, x in enumerate(present)}
    expr = Expr(
        tuple([tuple([number[x] for x in term]) for term in structure]),
        tuple([number[x] for x in (opened if out_order is None else out_order)]),
        tuple([sizes[x] for x in present]),
    )
    oracle.assert_exact(tn.ncon(arrays, structure, con_order, out_order), expr, arrays)


def test_results_are_those_of_tensornetwork() -> None:
    tensornetwork = pytest.importorskip("tensornetwork")
    rng = np.random.default_rng(2)
    tensors = [rng.standard_normal(s) for s in [(2, 3, 4), (4, 3, 5), (5, 2), (2, 2)]]
    structure = [[-1, 1, "b"], ["b", 1, 2], [2, "-q"], [-3, -1]]
    want = tensornetwork.ncon(tensors, structure)
    np.testing.assert_allclose(tn.ncon(tensors, structure), want)
    order = [2, "b", 1]
    np.testing.assert_allclose(tn.ncon(tensors, structure, con_order=order), want)
    turned = tensornetwork.ncon(tensors, structure, out_order=["-q", -3, -1])
    np.testing.assert_allclose(tn.ncon(tensors, structure, out_order=["-q", -3, -1]), turned)


def test_repeated_calls_see_dtypes_shapes_and_labels() -> None:
    for _ in range(3):
        for dtype in (float, complex, int):
            for rows, columns in [(2, 3), (4, 5)]:
                a, b = np.ones((rows, 3), dtype), np.ones((3, columns), dtype)
                result = tn.ncon([a, b], [[-1, 1], [1, -2]])
                assert (result.shape, result.dtype) == ((rows, columns), np.dtype(dtype))
                assert tn.ncon((a, b), ((-2, 1), (1, -1))).shape == (columns, rows)
        with pytest.raises(ValueError, match="it must be the list of labels"):
            tn.ncon([np.ones((2, 2))], ["ab"])
        assert tn.ncon([np.ones((2, 2))], [["a", "b"]]) == 4
        with pytest.raises(ValueError, match="label"):
            tn.ncon([np.ones(2)], [[[1]]])
