"""expr: labels become integers, every notation is read, every mistake is named."""

from __future__ import annotations

import numpy as np
import pytest

from tensornet.errors import ShapeError
from tensornet.expr import (
    Equation,
    Expr,
    bind_equation,
    from_labels,
    from_shapes,
    parse_einsum,
    parse_ncon,
)


def bound(subscripts: str, *shapes: tuple[int, ...]) -> tuple[Expr, object, object]:
    equation, _ = parse_einsum((subscripts, *shapes))
    return bind_equation(equation, shapes)


def test_relabelled_networks_give_equal_exprs() -> None:
    one = from_labels(["ab", "bc"], "ac", {"a": 2, "b": 3, "c": 4})
    other = from_labels([(7, "x"), ("x", None)], (7, None), {7: 2, "x": 3, None: 4})
    assert one == other
    assert hash(one) == hash(other)
    assert one.shapes == ((2, 3), (3, 4))
    assert one.output_shape == (2, 4)
    assert one.output_size == 8


def test_from_labels_names_what_is_wrong() -> None:
    with pytest.raises(ShapeError, match="index 'b' has no entry in sizes"):
        from_labels(["ab"], "a", {"a": 2})
    with pytest.raises(ShapeError, match="index 'a' has extent -2, which no axis can have"):
        from_labels(["a"], "a", {"a": -2})
    with pytest.raises(ShapeError, match=r"index 'a' has extent 2\.5, which no axis can have"):
        from_labels(["a"], "a", {"a": 2.5})
    with pytest.raises(ShapeError, match="which no axis can have"):
        from_shapes(["a"], "a", [(2**63,)])
    with pytest.raises(ShapeError, match="output index 'z' is on no operand"):
        from_labels(["a"], "z", {"a": 2})
    with pytest.raises(ShapeError, match="output index 'a' is repeated"):
        from_labels(["ab"], "aba", {"a": 2, "b": 2})


def test_a_mismatch_names_index_operands_and_extents() -> None:
    with pytest.raises(ShapeError) as caught:
        from_shapes(["ab", "cb"], "ac", [(2, 3), (4, 5)])
    assert str(caught.value) == (
        "index 'b' has extent 3 on operand 0 (axis 1, shape (2, 3)) "
        "but 5 on operand 1 (axis 1, shape (4, 5))"
    )
    with pytest.raises(ShapeError, match=r"operand 1 has 2 axes .* its term 'bcd' names 3 indices"):
        from_shapes(["ab", "bcd"], "ac", [(2, 3), (3, 4)])


@pytest.mark.parametrize(
    ("subscripts", "inputs", "output"),
    [
        ("ij,jk->ik", ("ij", "jk"), "ik"),
        (" i j , j k -> i k ", ("ij", "jk"), "ik"),
        ("ij,jk", ("ij", "jk"), None),
        ("ij->", ("ij",), ""),
        ("", ("",), None),
        (",->", ("", ""), ""),
        ("αβ,β京->α京", ("αβ", "β京"), "α京"),
    ],
)
def test_subscripts_are_split(subscripts: str, inputs: tuple[str, ...], output: str) -> None:
    assert parse_einsum((subscripts, *inputs))[0] == Equation(inputs, output)


@pytest.mark.parametrize(
    ("subscripts", "message"),
    [
        ("ij,jk->ik->i", "'->' may stand once"),
        ("ij-jk", "'->' may stand once"),
        ("ij>jk", "'->' may stand once"),
        ("i%,jk", "hold '%', which is no index: use letters"),
        ("ij,jk->&", "hold '&'"),
        ("ij,jk->i,k", "the output 'i,k' .* it is a single term"),
        ("i.j,jk", r"term 'i.j' of operand 0 has a '\.' outside of a single '\.\.\.'"),
        ("ij,jk....", "of operand 1"),
        ("...i...,jk", "of operand 0"),
        ("ij,jk->..i", "of the output"),
        ("ij", "name 1 operand but 2 were given"),
        ("ij,jk,kl", "name 3 operands but 2 were given"),
    ],
)
def test_malformed_subscripts_are_explained_in_one_line(subscripts: str, message: str) -> None:
    with pytest.raises(ShapeError, match=message) as caught:
        parse_einsum((subscripts, (2, 3), (3, 4)))
    assert "\n" not in str(caught.value)


def test_an_error_about_a_long_equation_stays_short() -> None:
    with pytest.raises(ShapeError) as caught:
        parse_einsum((",".join(["ab"] * 100_000) + ";", 0))
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("subscripts", "shapes", "output"),
    [
        ("ba", [(2, 3)], (3, 2)),
        ("bA", [(2, 3)], (3, 2)),
        ("ij,jk", [(2, 3), (3, 4)], (2, 4)),
        ("...i,...i", [(5, 4, 3), (4, 3)], (5, 4)),
        ("b...a", [(2, 7, 8, 3)], (7, 8, 3, 2)),
        ("i...,j...", [(2, 5), (3, 4, 1)], (4, 5, 2, 3)),
        ("ii", [(3, 3)], ()),
    ],
)
def test_an_implicit_output_is_the_ellipsis_then_sorted_single_indices(
    subscripts: str, shapes: list[tuple[int, ...]], output: tuple[int, ...]
) -> None:
    assert bound(subscripts, *shapes)[0].output_shape == output


def test_an_axis_of_size_one_stretches_by_leaving_its_operand() -> None:
    expr, labels, dropped = bound("ij,jk->ijk", (2, 1), (3, 4))
    assert expr.shapes == ((2,), (3, 4))
    assert expr.output_shape == (2, 3, 4)
    assert labels == ("i", "j", "k")
    assert dropped == ((1,), ())
    assert bound("...,...", (5, 1), (1, 4))[0].output_shape == (5, 4)
    assert bound("i,i->i", (0,), (1,))[0].output_shape == (0,)
    assert bound("ij,ij", (1, 1), (1, 1))[2] is None


@pytest.mark.parametrize(
    ("subscripts", "shapes", "message"),
    [
        ("i,i,i", [(3,), (1,), (4,)], "'i' has extent 3 on operand 0 .* but 4 on operand 2"),
        ("ii", [(1, 3)], "'i' has extent 1 on operand 0 .* but 3 on operand 0"),
        ("i,ii->i", [(3,), (1, 3)], "'i' has extent 1 on operand 1 .* but 3 on operand 1"),
        ("...,...", [(2, 3), (2, 4)], r"axis -1 of '\.\.\.' has extent 3 on operand 0 .* but 4"),
        ("i...j", [(2,)], r"operand 0 has 1 axis .* names 2 indices"),
        ("...->", [(2,)], r"stands for 1 axis of the operands but the output has no '\.\.\.'"),
        ("ab->ac", [(2, 3)], "output index 'c' is on no operand"),
        ("ab->aa", [(2, 3)], "output index 'a' is repeated"),
    ],
)
def test_shapes_that_do_not_fit_are_explained(
    subscripts: str, shapes: list[tuple[int, ...]], message: str
) -> None:
    with pytest.raises(ShapeError, match=message):
        bound(subscripts, *shapes)


def test_interleaved_lists_take_any_hashable_labels() -> None:
    a, b = np.ones((2, 3)), np.ones((3, 4))
    equation, arrays = parse_einsum((a, [0, "x"], b, ["x", None], [None, 0]))
    assert arrays[0] is a
    assert arrays[1] is b
    expr = bind_equation(equation, [a.shape, b.shape])[0]
    assert expr == Expr(((0, 1), (1, 2)), (2, 0), (2, 3, 4))
    assert parse_einsum((a, (5, 60), None))[0] == Equation(((5, 60),), None)
    assert parse_einsum((a, range(2)))[0] == Equation(((0, 1),), None)


def test_interleaved_mistakes_are_explained() -> None:
    a = np.ones((2, 3))
    with pytest.raises(ShapeError, match="at least one operand"):
        parse_einsum(())
    with pytest.raises(ShapeError, match="a list of labels after each operand"):
        parse_einsum((a,))
    with pytest.raises(TypeError, match="labels of operand 0 must be a list of hashable labels"):
        parse_einsum((a, 3))
    with pytest.raises(TypeError, match="labels of the output must be a list of hashable labels"):
        parse_einsum((a, [0, 1], a))
    with pytest.raises(ShapeError, match="more than one Ellipsis"):
        parse_einsum((a, [..., 0, ...]))
    equation, _ = parse_einsum((a, [0, "x"]))
    with pytest.raises(TypeError, match="cannot be sorted need an explicit output"):
        bind_equation(equation, [a.shape])


def test_ncon_orders_open_labels_numbers_first() -> None:
    structure = [[-1, 1, "-rick", "2", -2], [-2, "2", 1, "-morty"]]
    expr, path = parse_ncon([(2, 3, 4, 5, 6), (6, 5, 3, 7)], structure)
    assert expr.output_shape == (2, 6, 7, 4)
    assert path is None
    expr, _ = parse_ncon([(2, 3)], [[-1, -2]], out_order=[-2, -1])
    assert expr.output_shape == (3, 2)


def test_ncon_follows_con_order() -> None:
    structure = [[1, 2], [2, 3], [3, 1]]
    _, path = parse_ncon([(2, 2)] * 3, structure, con_order=[3, 1, 2])
    assert path == [(1, 2), (0, 3)]
    _, path = parse_ncon([(2, 2)] * 3, structure, con_order=[1, 3, 2])
    assert path == [(0, 2), (1, 3)]


def test_ncon_defers_a_shared_label_and_joins_the_rest_by_outer_products() -> None:
    shapes = [(2, 3), (2, 3), (2,), (4,)]
    _, path = parse_ncon(shapes, [[1, 2], [1, 2], [1], [-1]], con_order=[1, 2])
    assert path == [(0, 1), (2, 4), (3, 5)]
    _, path = parse_ncon([(2,)] * 3, [[1], [1], [1]], con_order=[1])
    assert path == [(0, 1), (3, 2)]


@pytest.mark.parametrize(
    ("structure", "options", "message"),
    [
        ([[-1, 1]], {}, "network_structure names 1 operand but 2 were given"),
        ([[-1, 1, 2], [1, -2]], {}, "operand 0 has 2 axes .* names 3 indices"),
        ([[-1, 1], [-2, 1]], {}, "index 1 has extent 3 on operand 0 .* but 4 on operand 1"),
        ([[-1, 0], [0, -2]], {}, "label 0 of tensor 0 must be a string or a number other than 0"),
        ([[-1, "a_b"], ["a_b", -2]], {}, "label 'a_b' of tensor 0 is not alphanumeric"),
        ([[-1, ""], ["", -2]], {}, "label '' of tensor 0"),
        ([[-1, 1], 2], {}, r"network_structure\[1\] is 2: it must be the list of labels"),
        ([[-1, 1], [1, -2]], {"con_order": [1, 1]}, r"con_order repeats \[1\]"),
        ([[-1, 1], [1, -2]], {"con_order": [2]}, "con_order holds labels that are not summed"),
        ([["-a", 1], [1, 2]], {"con_order": [1]}, r"con_order lacks the summed labels \[2\]"),
        ([[-1, 1], [1, -2]], {"out_order": [-1]}, r"out_order lacks the open labels \[-2\]"),
        ([[-1, 1], [1, -2]], {"out_order": [-1, 1]}, "out_order holds labels that are not open"),
    ],
)
def test_ncon_mistakes_are_explained(structure: list, options: dict, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        parse_ncon([(2, 3), (3, 4)], structure, **options)


def test_ncon_unchecked_takes_partial_orders_and_any_names() -> None:
    structure = [["-in", "a_b"], ["a_b", "c d"], ["c d"]]
    shapes = [(2, 3), (3, 4), (4,)]
    expr, path = parse_ncon(shapes, structure, con_order=["c d"], check_network=False)
    assert expr.output_shape == (2,)
    assert path == [(1, 2), (0, 3)]
    with pytest.raises(ShapeError, match="at least one tensor"):
        parse_ncon([], [])


def test_ncon_orders_a_long_chain_in_linear_time() -> None:
    n = 100_000
    structure = [[-1, 1], *[[k, k + 1] for k in range(1, n)], [n, -2]]
    shapes = [(2, 2)] * (n + 1)
    _, path = parse_ncon(shapes, structure, con_order=list(range(1, n + 1)))
    assert path is not None
    assert len(path) == n
