"""The gradient rule of every operation: against differences, of the first and second order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gradient_cases import CASES, Case

import tensornet as tn
from tensornet import check_grads, grad, ops, vjp
from tensornet.records import has_rule

# What has no derivative, or is no operation.
CONSTANT = {
    *("argmax", "argmin", "equal", "greater", "greater_equal", "less", "less_equal", "not_equal"),
}
OTHER = {"NconBuilder", "finalize", "shape"}  # finalize is ncon

IDS = [f"{k}-{case.name}" for k, case in enumerate(CASES)]


def test_every_operation_has_a_rule_and_is_looked_at() -> None:
    functions = set(ops.__all__) - OTHER
    operations = {name for name in functions if hasattr(getattr(ops, name), "__wrapped__")}
    assert {name for name in operations if not has_rule(getattr(ops, name))} == set()
    assert functions - CONSTANT == {case.name for case in CASES}


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_derivatives_of_first_and_second_order_agree_with_differences(case: Case) -> None:
    check_grads(case.function, case.args, modes=("vjp", "jvp"))


def strided(x: Any) -> Any:
    """The same entries, every second one of an array in Fortran order."""
    if not isinstance(x, np.ndarray) or not x.ndim:
        return x
    spread = np.zeros([2 * n for n in x.shape], x.dtype, order="F")
    view = spread[tuple([slice(None, None, 2)] * x.ndim)]
    view[...] = x
    return view


def pulled(function: Any, args: Any, dtypes: dict[str, str]) -> list[Any]:
    value, pullback = vjp(function, *[x.astype(dtypes[x.dtype.kind]) for x in args])
    steps = np.arange(value.size).reshape(value.shape)
    return list(pullback((1 + 0.1 * steps).astype(value.dtype)))


SINGLE, DOUBLE = {"f": "float32", "c": "complex64"}, {"f": "float64", "c": "complex128"}


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_gradients_do_not_depend_on_strides_and_keep_single_precision(case: Case) -> None:
    wanted = pulled(case.function, case.args, DOUBLE)
    for want, of_strided in zip(
        wanted, pulled(case.function, [strided(x) for x in case.args], DOUBLE)
    ):
        np.testing.assert_allclose(of_strided, want, rtol=1e-12, atol=1e-12)
    for want, single, x in zip(wanted, pulled(case.function, case.args, SINGLE), case.args):
        assert single.dtype == SINGLE[x.dtype.kind]
        assert single.shape == x.shape
        np.testing.assert_allclose(single, want, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize(
    "case", [case for case in CASES if len(case.args) > 1], ids=lambda case: case.name
)
def test_an_operand_has_the_same_gradient_beside_constants_and_beside_lists(case: Case) -> None:
    together = pulled(case.function, case.args, DOUBLE)
    for k, want in enumerate(together):
        for constants in (case.args, [x.tolist() if x.size else x for x in case.args]):

            def of_one(x: Any, k: int = k, constants: Any = constants) -> Any:
                return case.function(*constants[:k], x, *constants[k + 1 :])

            (alone,) = pulled(of_one, [case.args[k]], DOUBLE)
            np.testing.assert_array_equal(alone, want)


def test_equal_entries_share_the_gradient_of_an_extreme() -> None:
    x = np.array([3.0, 1.0, 3.0])
    assert grad(tn.max)(x).tolist() == [0.5, 0, 0.5]
    assert grad(lambda x: tn.min(x * 0))(x).tolist() == [0, 0, 0]
    assert grad(tn.min)(np.ones(4)).tolist() == [0.25] * 4
    first, second = grad(lambda a, b: tn.sum(tn.maximum(a, b)), (0, 1))(x, np.full(3, 3.0))
    assert (first.tolist(), second.tolist()) == ([0.5, 0, 0.5], [0.5, 1, 0.5])
    first, second = grad(lambda a, b: tn.sum(tn.minimum(a, b)), (0, 1))(x, np.full(3, 3.0))
    assert (first.tolist(), second.tolist()) == ([0.5, 1, 0.5], [0.5, 0, 0.5])


def test_an_extreme_that_is_nan_gives_no_gradient() -> None:
    assert grad(tn.max)(np.array([1.0, np.nan])).tolist() == [0, 0]


def test_gradients_of_reductions_count_further_than_float16_does() -> None:
    x = np.ones(70_001, np.float16)
    for function in (tn.mean, tn.max, tn.min):
        gradient = grad(function)(x)
        assert gradient.dtype == np.float16
        np.testing.assert_allclose(gradient, np.full(x.shape, 1 / x.size), rtol=5e-3)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_variances_without_degrees_of_freedom_have_gradients_without_bounds() -> None:
    assert np.isnan(grad(lambda x: tn.sum(tn.var(x, ddof=1)))(np.ones(1))).all()
    for ddof in (2, 3):
        gradient = grad(lambda x, n=ddof: tn.var(x, ddof=n))(np.arange(2.0))
        assert gradient.tolist() == [-np.inf, np.inf]
    assert grad(lambda x: tn.sum(tn.var(x, axis=1)))(np.ones((3, 0))).shape == (3, 0)


def test_what_is_not_chosen_may_be_nan() -> None:
    x = np.array([-1.0, 4.0])
    with np.errstate(invalid="ignore"):
        gradient = grad(lambda x: tn.sum(tn.where(x > 0, tn.sqrt(x), 0.0)))(x)
    assert gradient[1] == 0.25
    assert tn.where([True, False], [1.0, np.nan], [np.inf, 2.0]).tolist() == [1, 2]
    _, pullback = vjp(lambda a, b: tn.where([True, False], a, b), x, x)
    first, second = pullback(np.array([np.inf, np.nan]))
    assert (first.tolist(), second[0]) == ([np.inf, 0], 0)
    _, pullback = vjp(ops.relu, x)
    assert pullback(np.array([np.nan, 1.0]))[0].tolist() == [0, 1]


def test_an_infinite_gradient_of_an_imaginary_part_stays_there() -> None:
    (pulled,) = vjp(tn.imag, np.array([1j]))[1](np.array([np.inf]))
    assert (pulled.real, pulled.imag) == (0, np.inf)


def test_kinks_have_the_gradients_that_torch_gives_them() -> None:
    zero = np.zeros(1)
    for function in (tn.abs, ops.relu, tn.sign):
        assert grad(lambda x, f=function: tn.sum(f(x)))(zero).tolist() == [0]
    assert grad(lambda z: tn.sum(tn.abs(z)))(zero.astype(complex)).tolist() == [0]
    assert grad(lambda x: tn.sum(tn.clip(x, 0, 1)))(np.array([0.0, 1, 2])).tolist() == [1, 1, 0]
    assert grad(lambda x: tn.sum(tn.arctan2(x, x)))(zero).tolist() == [0]


def test_powers_of_zero_and_of_negative_numbers() -> None:
    x = np.array([0.0, -2.0])
    assert grad(lambda x: tn.sum(x**2))(x).tolist() == [0, -4]
    assert grad(lambda x: tn.sum(x**3))(x).tolist() == [0, 12]
    assert grad(lambda x: tn.sum(x**0))(x).tolist() == [0, 0]
    assert grad(lambda x: tn.sum(x ** np.array([1.0, 3.0])))(x).tolist() == [1, 12]
    assert grad(lambda p: tn.sum(tn.power([0.0, 0.0], p)))(np.array([2.0, 0.0])).tolist() == [0, 0]


def test_sums_of_exponentials_of_infinite_entries_have_finite_gradients() -> None:
    x = np.array([-np.inf, 0.0, 0.0])
    assert grad(tn.logsumexp)(x).tolist() == [0, 0.5, 0.5]
    assert grad(tn.logsumexp)(np.array([1e4, -1e4])).tolist() == [1, 0]
    assert grad(lambda x: tn.log_softmax(x)[1])(np.array([1000.0, 0.0])).tolist() == [-1, 1]
    assert grad(lambda x: tn.softmax(x)[1])(x).tolist() == [0, 0.25, -0.25]


def test_a_real_loss_of_complex_entries_has_the_gradient_of_its_parts() -> None:
    z = np.array([1 + 2j, -0.5j])

    def loss(x: Any, y: Any) -> Any:
        return tn.sum(tn.abs(tn.sin(x + y * 1j)) ** 2)

    by_real, by_imag = grad(loss, (0, 1))(z.real, z.imag)
    together = grad(lambda z: tn.sum(tn.abs(tn.sin(z)) ** 2))(z)
    np.testing.assert_allclose(together, by_real + 1j * by_imag)


def test_gradients_of_whole_numbers_and_unfit_shapes_are_refused() -> None:
    with pytest.raises(TypeError, match="argument 0 has dtype int64"):
        grad(tn.sum)(np.arange(3))
    with pytest.raises(TypeError, match="argument 0 has dtype bool"):
        grad(tn.sum)(np.array([True]))
    with pytest.raises(tn.ShapeError, match="extents 3 and 2"):
        grad(lambda a: tn.sum(a @ np.ones((2, 2))))(np.ones((2, 3)))
    with pytest.raises(ValueError, match="broadcast"):
        grad(lambda a: tn.sum(a + np.ones(2)))(np.ones(3))


def test_whole_numbers_on_the_way_are_constants() -> None:
    assert grad(lambda x: tn.sum(x * tn.argmax(x)))(np.array([1.0, 3.0])).tolist() == [1, 1]
    assert grad(lambda x: tn.sum(x * ops.cast(x, int)))(np.array([1.5, 3.0])).tolist() == [1, 3]


def test_gradients_belong_to_whom_they_are_given() -> None:
    x = np.ones((2, 3))
    first, second = grad(lambda a, b: tn.sum(a + b), (0, 1))(x, x)
    first += 1
    assert second.tolist() == np.ones((2, 3)).tolist()
    gradient = grad(lambda a: tn.sum(a * tn.transpose(np.ones((3, 2)))))(x)
    gradient[0] = 5  # also if the rule made a view
    a, b = tn.Tensor(x), tn.Tensor(x)
    with tn.GradientTape() as tape:
        tape.watch([a, b])
        y = tn.sum(a + b)
    of_a, of_b = tape.gradient(y, [a, b])
    of_a.array[0] = 7
    assert of_b.array.tolist() == np.ones((2, 3)).tolist()


def kept_bytes(loss: Any) -> int:
    """Bytes of arrays that the records behind a Tensor hold, each array once."""
    arrays: dict[int, Any] = {}
    records, seen = [loss._origin[0]], set()
    while records:
        record = records.pop()
        if id(record) in seen or record.function is None:
            continue
        seen.add(id(record))
        held = [x for x in (*record.args, *record.results) if isinstance(x, np.ndarray)]
        arrays |= {id(x): x for x in held}
        records += [parent[0] for parent in record.parents if parent]
    return sum(x.nbytes for x in arrays.values())


@pytest.mark.parametrize(
    ("function", "arrays"),
    [
        (lambda x: x + 1.0, 0),
        (lambda x: x * np.ones(1000), 1),
        (lambda x: x * x, 1),
        (lambda x: 2.0 * x, 0),
        (lambda x: x / 3.0, 0),
        (ops.relu, 1),
        (tn.exp, 1),
        (lambda x: tn.exp(tn.tanh(x)), 2),
        (tn.softmax, 1),
        (tn.logsumexp, 1),
        (tn.sum, 0),
        (lambda x: tn.reshape(x, (10, 100)), 0),
        (lambda x: tn.where(True, x, 0.0), 0),
        (lambda x: tn.concatenate([x, x]), 0),
        (lambda x: x[::2], 0),
    ],
)
def test_the_tape_keeps_what_rules_read_and_no_more(function: Any, arrays: int) -> None:
    x = tn.Tensor(np.ones(1000))
    with tn.GradientTape() as tape:
        tape.watch(x)
        y = function(x)
    assert kept_bytes(y) // 8000 == arrays
