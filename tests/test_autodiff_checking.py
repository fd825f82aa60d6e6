"""check_grads: what it finds, what it says, what it looks at."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tensornet as tn
from tensornet import check_grads

X = np.array([0.5, -1.5])


def test_right_derivatives_pass_in_both_modes() -> None:
    check_grads(lambda x, y: tn.sin(x) * y, (X, X + 1j), order=3, modes=("vjp", "jvp"))


def test_a_wrong_rule_is_found_and_named() -> None:
    wrong = tn.custom_op(lambda x, y: x * x + y, lambda g, out, x, y: (2.1 * g * x, g))
    with pytest.raises(
        AssertionError,
        match=r"order 1 with respect to argument 0 is -?[\d.]+ by vjp, but -?[\d.]+ by differences",
    ):
        check_grads(wrong, (X, X), order=1)


def test_a_rule_that_is_wrong_in_the_second_order_only_is_found_there() -> None:
    wrong = tn.custom_op(
        lambda x: x**3, lambda g, y, x: 3 * g * tn.stop_gradient(x) * tn.stop_gradient(x)
    )
    check_grads(wrong, (X,), order=1)
    with pytest.raises(AssertionError, match="order 2 with respect to argument 0"):
        check_grads(wrong, (X,))


def test_the_leaves_of_structures_are_named() -> None:
    wrong = tn.custom_op(lambda x, y: x + y, lambda g, out, x, y: (g, 2 * g))

    def function(p: dict[str, Any]) -> Any:
        return {"sum": wrong(p["a"], p["b"])}

    with pytest.raises(AssertionError, match=r"argument 0 \(leaf 1\)"):
        check_grads(function, ({"a": X, "b": X},))


def test_whole_numbers_are_constants_and_single_precision_is_widened() -> None:
    def function(x: Any, k: Any) -> Any:
        assert x.dtype == np.float64
        return tn.take(x, k) * 2

    check_grads(function, (X.astype("float32"), np.array([1, 1])))


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="'vjp' and 'jvp'"):
        check_grads(tn.sin, (X,), modes=("forward",))
