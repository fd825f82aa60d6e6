"""autodiff: grad and its kin, GradientTape, custom operations; the engine, not the rules."""

from __future__ import annotations

import gc
import threading
import weakref
from typing import Any

import numpy as np
import pytest

import tensornet as tn
from tensornet import (
    GradientTape,
    Tensor,
    checkpoint,
    custom_op,
    grad,
    hvp,
    jvp,
    value_and_grad,
    vjp,
)
from tensornet.ops import add, cast, multiply
from tensornet.ops import sum as sum_of
from tensornet.tape import operation


def cube(x: Any) -> Any:
    return x * x * x


def test_gradients_of_gradients() -> None:
    first, second, third = grad(cube), grad(grad(cube)), grad(grad(grad(cube)))
    assert [float(d(2.0)) for d in (first, second, third)] == [12.0, 12.0, 6.0]


def test_arrays_give_arrays_and_tensors_give_tensors() -> None:
    x = np.array([1.0, 2.0])
    value, gradient = value_and_grad(lambda x: sum_of(x * x))(x)
    assert (value, type(gradient), gradient.tolist()) == (5.0, np.ndarray, [2.0, 4.0])
    value, gradient = value_and_grad(lambda x: sum_of(x * x))(Tensor(x))
    assert (type(value), type(gradient)) == (Tensor, Tensor)
    assert gradient._origin is None


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_a_gradient_has_the_dtype_of_its_argument(dtype: str) -> None:
    x = np.ones(3, dtype)
    gradient = grad(lambda x: sum_of(cast(x, "float64") * np.arange(3.0)))(x)
    assert (gradient.dtype, gradient.tolist()) == (dtype, [0, 1, 2])


def test_a_gradient_has_the_structure_of_its_argument() -> None:
    params = {"w": [np.ones(2), np.ones(3)], "b": (2.0,)}
    found = grad(lambda p: sum_of(p["w"][0]) * p["b"][0] + sum_of(p["w"][1] * 5.0))(params)
    assert found["w"][0].tolist() == [2, 2]
    assert found["w"][1].tolist() == [5, 5, 5]
    assert found["b"] == (2.0,)


def test_argnums_choose_arguments() -> None:
    f = lambda a, b: a * a * b  # noqa: E731
    assert grad(f, 1)(3.0, 2.0) == 9
    assert grad(f, (0, 1))(3.0, 2.0) == (12, 9)
    assert grad(f, argnums=(1,))(3.0, 2.0) == (9,)


def test_aux_is_handed_through_as_constants() -> None:
    (value, aux), gradient = value_and_grad(lambda x: (x * x, {"double": 2 * x}), has_aux=True)(3.0)
    assert (value, gradient, float(aux["double"])) == (9, 6, 6)
    assert aux["double"]._origin is None
    assert grad(lambda x: (x * x, "text"), has_aux=True)(3.0) == (6, "text")


def test_what_does_not_matter_has_gradient_zero() -> None:
    assert grad(lambda a, b: a * 2, 1)(1.0, np.ones(3)).tolist() == [0, 0, 0]
    assert grad(lambda a: 5.0)(1.0) == 0


def test_the_convention_for_complex_numbers_is_that_of_pytorch() -> None:
    z = np.array([1 + 2j, -3 + 0.5j])
    gradient = grad(lambda z: sum_of(tn.ops.real(z * tn.conj(z))))(z)
    np.testing.assert_array_equal(gradient, 2 * z)  # dL/dRe + i dL/dIm
    c = 2 - 5j
    gradient = grad(lambda z: sum_of(tn.ops.real(c * z)))(z)
    np.testing.assert_array_equal(gradient, [np.conj(c)] * 2)


def test_a_real_operand_of_a_complex_product_has_a_real_gradient() -> None:
    x, z = np.array([2.0]), np.array([1 + 3j])
    gradient = grad(lambda x: sum_of(tn.ops.real(x * z)))(x)
    assert (gradient.dtype, gradient.tolist()) == (np.float64, [1.0])


def test_only_a_single_real_number_has_a_gradient() -> None:
    with pytest.raises(tn.ShapeError, match=r"not a result of shape \(2,\): use vjp"):
        grad(lambda x: x * 2)(np.ones(2))
    with pytest.raises(TypeError, match="dtype complex128: take its real part"):
        grad(lambda x: x * 2j)(1.0)


def test_whole_numbers_have_no_gradient() -> None:
    with pytest.raises(TypeError, match=r"argument 0 has dtype int64.*convert it"):
        grad(cube)(2)


def test_an_operation_without_a_rule_is_an_error_only_when_it_is_differentiated() -> None:
    floor = operation(np.floor)
    assert float(floor(Tensor(1.5))) == 1
    with pytest.raises(TypeError, match=r"floor has no gradient rule; .*custom_op"):
        grad(lambda x: floor(x) * x)(1.5)


def test_vjp_pulls_back_many_times() -> None:
    value, pullback = vjp(lambda x: x * x, np.array([1.0, 2.0]))
    assert value.tolist() == [1, 4]
    assert pullback(np.array([1.0, 0]))[0].tolist() == [2, 0]
    assert pullback(np.array([0, 1.0]))[0].tolist() == [0, 4]
    with pytest.raises(tn.ShapeError, match=r"cotangent of shape \(3,\) for a value of .*\(2,\)"):
        pullback(np.ones(3))


def test_jvp_and_hvp_agree_with_the_derivatives_written_out() -> None:
    x, t = np.array([1.0, -2.0, 0.5]), np.array([3.0, 1.0, -1.0])
    value, tangent = jvp(cube, [x], [t])
    np.testing.assert_allclose(value, x**3)
    np.testing.assert_allclose(tangent, 3 * x**2 * t)
    np.testing.assert_allclose(hvp(lambda x: sum_of(cube(x)), x, t), 6 * x * t)


def test_a_derivative_inside_does_not_see_the_variable_outside() -> None:
    # perturbation confusion: d/dx (x * d/dy (x + y)) = 1
    assert grad(lambda x: x * grad(lambda y: x + y)(1.0))(1.0) == 1
    assert grad(lambda x: x * grad(lambda y: x * y)(3.0))(5.0) == 10


def test_a_tape_gives_gradients_of_watched_tensors_and_of_what_came_of_them() -> None:
    x = Tensor([1.0, 2.0])
    with GradientTape() as tape:
        tape.watch(x)
        y = x * x
        z = sum_of(y * 3)
    of_y, of_x, of_none = tape.gradient(z, [y, x, Tensor(1.0)])
    assert (of_y.array.tolist(), of_x.array.tolist(), of_none) == ([3, 3], [6, 12], None)


def test_a_tape_that_is_not_persistent_lets_go() -> None:
    x = Tensor(2.0)
    with GradientTape() as tape:
        tape.watch(x)
        y = cube(x)
    assert float(tape.gradient(y, x)) == 12
    with pytest.raises(tn.TensorNetError, match="persistent=True"):
        tape.gradient(y, x)
    with GradientTape(persistent=True) as tape:
        y = cube(x)
    assert [float(tape.gradient(y, x)) for _ in range(2)] == [12, 12]
    with GradientTape() as tape:
        y = cube(x)
    tape.gradient(y, x)
    assert tape.gradient(x, y) is None  # nothing comes of what has been let go


def test_tapes_nest_and_overlap() -> None:
    x = Tensor(2.0)
    with GradientTape() as outer:
        outer.watch(x)
        with GradientTape() as inner:
            y = cube(x)
        first = inner.gradient(y, x)
    assert (float(first), float(outer.gradient(first, x))) == (12, 12)
    with GradientTape() as one, GradientTape() as two:
        y = cube(x)
    assert [float(tape.gradient(y, x)) for tape in (one, two)] == [12, 12]


def test_nothing_is_recorded_outside_of_a_tape_or_in_another_thread() -> None:
    x = Tensor(2.0)
    with GradientTape() as tape:
        tape.watch(x)
        elsewhere: list[Any] = []
        thread = threading.Thread(target=lambda: elsewhere.append(x * x))
        thread.start()
        thread.join()
    assert elsewhere[0]._origin is None
    assert (x * x)._origin is None
    assert tape.gradient(elsewhere[0], x) is None
    assert float(tape.gradient(elsewhere[0], x, unconnected_gradients="zero")) == 0


def test_stop_gradient_and_no_grad_make_constants() -> None:
    assert grad(lambda x: x * tn.stop_gradient(x * x))(3.0) == 9

    def partly(x: Any) -> Any:
        with tn.no_grad():
            factor = x * x
        return x * factor

    assert grad(partly)(3.0) == 9


def test_a_failure_leaves_nothing_recording() -> None:
    with pytest.raises(ZeroDivisionError):
        grad(lambda x: 1 // 0)(1.0)
    with pytest.raises(ZeroDivisionError), GradientTape():
        raise ZeroDivisionError
    x = Tensor(1.0)
    with GradientTape() as tape:
        tape.watch(x)
    assert (x * x)._origin is None


def test_what_the_tape_has_kept_cannot_be_changed() -> None:
    x = Tensor([1.0, 2.0])
    with GradientTape() as tape:
        tape.watch(x)
        y = x * x
    with pytest.raises(ValueError, match="read-only"):
        y.array[0] = 5
    with pytest.raises(TypeError, match="item assignment"):
        y[0] = 5.0  # type: ignore[index]
    x.array[0] = 1  # the variable itself belongs to the caller


def test_values_that_leave_may_be_written_to() -> None:
    value, _ = vjp(lambda x: x * x, np.ones(2))
    value[0] = 3


def test_arrays_of_the_caller_keep_their_flags() -> None:
    frozen, constant = np.ones(3), np.ones(3)
    frozen.flags.writeable = False
    same: tuple[Any, ...] = (lambda x: x, lambda x: cast(x, float), checkpoint(lambda x: frozen))
    for function in same:
        vjp(function, frozen)
        assert not frozen.flags.writeable
    for function in (checkpoint(lambda x: constant), custom_op(lambda x: constant, cube)):
        value, _ = vjp(function, np.ones(3))
        value[0] = constant[0] = 2


def test_long_chains_neither_recurse_nor_keep_what_is_done() -> None:
    def chain(x: Any) -> Any:
        for _ in range(100_000):
            x = x + 1.0
        return x

    assert grad(chain)(0.0) == 1


def test_memory_goes_as_the_sweep_goes() -> None:
    alive: list[int] = []
    arrays: list[weakref.ref[Any]] = []

    def forward(x: np.ndarray[Any, Any]) -> Any:
        made = x * 2
        arrays.append(weakref.ref(made))
        return made

    def pull(g: Any, y: Any, x: Any) -> Any:
        alive.append(sum(each() is not None for each in arrays))
        return 2 * g

    double = tn.custom_op(forward, pull)

    def chain(x: Any) -> Any:
        for _ in range(5):
            x = double(x)
        return sum_of(x)

    gc.disable()
    try:
        grad(chain)(np.ones(4))
    finally:
        gc.enable()
    assert alive == sorted(alive, reverse=True)
    assert alive[-1] <= 2


def test_tensors_of_a_lost_tape_are_freed_without_the_collector() -> None:
    gc.disable()
    try:
        x = Tensor(np.ones(3))
        with GradientTape() as tape:
            tape.watch(x)
            y = x * x
            lost = weakref.ref(y)
            del y
        assert lost() is None
    finally:
        gc.enable()


def test_a_custom_operation_has_the_rule_it_is_given() -> None:
    safe = tn.custom_op(
        lambda x: np.log(np.maximum(x, 1e-9)), lambda g, y, x: g * tn.ops.power(x, -1.0)
    )
    assert grad(safe)(0.5) == 2
    assert type(safe(np.ones(2))) is np.ndarray
    wrong = tn.custom_op(lambda x: x * 2, lambda g, y, x: np.ones(7))
    with pytest.raises(tn.ShapeError, match=r"shape \(7,\) for an operand of shape \(2,\)"):
        grad(lambda x: sum_of(wrong(x)))(np.ones(2))


def test_a_checkpoint_runs_twice_and_keeps_its_arguments_only() -> None:
    runs = []

    @tn.checkpoint
    def step(x: Any, k: int) -> Any:
        runs.append(k)
        return cube(x) + x

    value, gradient = value_and_grad(lambda x: step(step(x, 0), 1))(0.5)
    assert value == 0.625**3 + 0.625
    np.testing.assert_allclose(gradient, (3 * 0.625**2 + 1) * (3 * 0.25 + 1))
    assert runs == [0, 1, 1, 0]


def test_checkpoints_have_second_derivatives() -> None:
    step = tn.checkpoint(cube)
    np.testing.assert_allclose(grad(grad(lambda x: step(x) * x))(2.0), 12 * 4)


def test_shared_operands_add_up() -> None:
    assert grad(lambda x: add(x, x) * multiply(x, x))(2.0) == 24


def test_what_is_summed_in_place_is_nobody_elses() -> None:
    def loss(x: Any, z: Any) -> Any:
        y = x + z  # both get the very cotangent of y, itself a sum
        return sum_of(2.0 * y) + sum_of(3.0 * y) + sum_of(4.0 * y) + sum_of(5.0 * x) + sum_of(x * z)

    x, z = np.array([1.0, 2.0]), np.array([10.0, 20.0])
    of_x, of_z = grad(loss, (0, 1))(x, z)
    assert of_x.tolist() == (9 + 5 + z).tolist()
    assert of_z.tolist() == (9 + x).tolist()


def test_variables_may_be_given_in_any_order_and_form() -> None:
    arrays = [np.full(2, float(k)) for k in range(1, 4)]

    def loss(a: Any, b: Any, c: Any) -> Any:
        return sum_of(a * b * b * c)

    a, b, c = (each[0] for each in arrays)
    wanted = [b * b * c, 2 * a * b * c, a * b * b]
    for argnums in ((0, 1, 2), (2, 0), (1,), [0, 2]):
        found = grad(loss, argnums)(*arrays)
        assert [each[0] for each in found] == [wanted[k] for k in argnums]
    of_a, of_b, of_c = grad(loss, (0, 1, 2))(Tensor(arrays[0]), arrays[1], 3.0)
    assert [type(of_a), type(of_b), type(of_c)] == [Tensor, np.ndarray, np.float64]
    nested = grad(lambda p: loss(p["a"], *p["rest"]))({"a": arrays[0], "rest": (arrays[1], 3.0)})
    assert nested["rest"][0].tolist() == [wanted[1]] * 2
    assert nested["rest"][1] == 2 * wanted[2]


def test_a_gradient_used_after_its_function_changed_nothing_of_the_arguments() -> None:
    x = np.array([1.0, 2.0])
    before = x.copy()
    grad(lambda x: sum_of(x * x))(x)
    assert x.flags.writeable
    assert x.tolist() == before.tolist()


def test_a_gradient_is_not_lost_by_turning_into_an_array() -> None:
    for function in (np.asarray, np.linalg.norm, lambda x: sum_of([x, x])):
        with pytest.raises(TypeError, match=r"being differentiated: .*\.array"):
            grad(function)(1.0)
    assert grad(lambda x: x * float(x))(3.0) == 3
    x = Tensor(2.0)
    with GradientTape() as tape:
        tape.watch(x)
    assert np.asarray(x) == 2
