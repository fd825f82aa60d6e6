"""Optimisers: steps as PyTorch makes them; masked and frozen variables; state; clipping."""

from __future__ import annotations

import numpy as np
import pytest

import tensornet as tn
from tensornet import nn
from tensornet.errors import CheckpointError, ShapeError
from tensornet.nn.optimisers import optimiser_of

RNG = np.random.default_rng(0)
START = RNG.normal(size=(5, 4))
TARGET = RNG.normal(size=(5, 4))

CASES = {
    "sgd": (lambda: nn.SGD(0.1), lambda o, p: o.SGD(p, 0.1)),
    "sgd, decay": (
        lambda: nn.SGD(0.1, weight_decay=0.3),
        lambda o, p: o.SGD(p, 0.1, weight_decay=0.3),
    ),
    "momentum": (
        lambda: nn.SGD(0.1, momentum=0.9, weight_decay=0.1),
        lambda o, p: o.SGD(p, 0.1, momentum=0.9, weight_decay=0.1),
    ),
    "nesterov": (
        lambda: nn.SGD(0.02, momentum=0.9, nesterov=True),
        lambda o, p: o.SGD(p, 0.02, momentum=0.9, nesterov=True),
    ),
    "adam": (lambda: nn.Adam(0.1), lambda o, p: o.Adam(p, 0.1)),
    "adam, decay": (
        lambda: nn.Adam(0.1, 0.8, 0.95, 1e-4, weight_decay=0.2),
        lambda o, p: o.Adam(p, 0.1, (0.8, 0.95), 1e-4, weight_decay=0.2),
    ),
    "adamw": (
        lambda: nn.AdamW(0.1, weight_decay=0.2),
        lambda o, p: o.AdamW(p, 0.1, weight_decay=0.2),
    ),
    "rmsprop": (
        lambda: nn.RMSprop(0.1, weight_decay=0.1),
        lambda o, p: o.RMSprop(p, 0.1, 0.9, weight_decay=0.1),
    ),
    "rmsprop, centered": (
        lambda: nn.RMSprop(0.1, centered=True, momentum=0.5),
        lambda o, p: o.RMSprop(p, 0.1, 0.9, centered=True, momentum=0.5),
    ),
    "adagrad": (
        lambda: nn.Adagrad(0.1, initial=0.1),
        lambda o, p: o.Adagrad(p, 0.1, initial_accumulator_value=0.1),
    ),
}


def variable(dtype=np.float64):
    return tn.Tensor(START.astype(dtype))


def loss_of(w):
    return lambda: nn.losses.mean_squared_error(w * w, TARGET, reduction="sum")


@pytest.mark.parametrize("name", CASES)
def test_steps_are_those_of_torch(name):
    torch = pytest.importorskip("torch")
    ours, theirs = CASES[name]
    w, p = variable(), torch.tensor(START, requires_grad=True)
    optimiser, other = ours(), theirs(torch.optim, [p])
    for _ in range(7):
        value = optimiser.minimize(loss_of(w), [w])
        other.zero_grad()
        loss = torch.nn.functional.mse_loss(p * p, torch.tensor(TARGET), reduction="sum")
        loss.backward()
        other.step()
        np.testing.assert_allclose(float(value), loss.item(), rtol=1e-10)
        np.testing.assert_allclose(w.array, p.detach().numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_minimize_is_gradients_computed_and_applied(name):
    one, two = variable(), variable()
    first, second = CASES[name][0](), CASES[name][0]()
    for _ in range(3):
        first.minimize(loss_of(one), [one])
        pairs = second.compute_gradients(loss_of(two), [two])
        assert [v is two for _, v in pairs] == [True]
        second.apply_gradients(pairs)
    np.testing.assert_array_equal(one.array, two.array)


@pytest.mark.parametrize("name", CASES)
def test_a_masked_variable_stays_with_momentum_and_decay_and_goes_on_later(name):
    masked, alone = variable(), variable()
    optimiser, other = CASES[name][0](), CASES[name][0]()
    for k in range(5):
        pairs = optimiser.compute_gradients(loss_of(masked), [masked])
        if k in (1, 3):
            before = masked.array.copy()
            optimiser.apply_gradients([(None, v) for _, v in pairs])
            np.testing.assert_array_equal(masked.array, before)
        else:
            optimiser.apply_gradients(pairs)
            other.minimize(loss_of(alone), [alone])
    assert optimiser.step == 5
    np.testing.assert_array_equal(masked.array, alone.array)


@pytest.mark.parametrize("name", CASES)
def test_a_frozen_variable_stays(name):
    w, free = variable(), variable()
    optimiser = CASES[name][0]()

    def loss():
        return loss_of(w)() + loss_of(free)()

    optimiser.minimize(loss, [w, free])
    nn.freeze(w)
    before, moving = w.array.copy(), free.array.copy()
    pairs = optimiser.compute_gradients(loss, [w, free])
    assert pairs[0][0] is None
    optimiser.apply_gradients([(np.ones_like(before), w), pairs[1]])
    np.testing.assert_array_equal(w.array, before)
    assert (free.array != moving).all()
    nn.thaw(w)
    optimiser.minimize(loss, [w, free])
    assert (w.array != before).all()


@pytest.mark.parametrize("name", CASES)
def test_state_by_name_continues_bit_for_bit(name):
    w, copy = variable(), variable()
    optimiser, other = CASES[name][0](), CASES[name][0]()
    for _ in range(3):
        optimiser.minimize(loss_of(w), [w])
    state = optimiser.state_dict({"w": w})
    copy.array[...] = w.array
    other.load_state_dict(state, {"w": copy})
    for _ in range(3):
        optimiser.minimize(loss_of(w), [w])
        other.minimize(loss_of(copy), [copy])
    np.testing.assert_array_equal(w.array, copy.array)
    assert other.step == 6


def test_state_of_another_model_is_refused_and_changes_nothing():
    w = variable()
    optimiser = nn.Adam(0.1)
    optimiser.minimize(loss_of(w), [w])
    state = optimiser.state_dict({"w": w})
    before = optimiser.state_dict({"w": w})
    del state["sum/w"]
    state["squares/w"] = np.zeros(3)
    state["sum/b"] = np.zeros(3)
    with pytest.raises(CheckpointError, match="missing: sum/w; unexpected: sum/b; squares/w has"):
        optimiser.load_state_dict(state, {"w": w})
    after = optimiser.state_dict({"w": w})
    assert all(np.array_equal(before[key], after[key]) for key in before)


def test_a_variable_that_has_not_moved_has_no_state():
    w, other = variable(), variable()
    optimiser = nn.SGD(0.1, momentum=0.9)
    optimiser.minimize(loss_of(w), [w])
    state = optimiser.state_dict({"w": w, "other": other})
    assert sorted(state) == ["count/w", "learning_rate", "momentum/w", "step"]
    nn.SGD(0.1, momentum=0.9).load_state_dict(state, {"w": w, "other": other})


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.complex64])
def test_variables_keep_their_dtype_and_array(dtype):
    w = variable(dtype)
    array = w.array
    nn.Adam(0.1).apply_gradients([(np.ones((5, 4)), w)])
    assert w.array is array
    assert w.dtype == dtype
    np.testing.assert_allclose(w.array, START - 0.1, atol=2e-2 if dtype == np.float16 else 1e-5)


@pytest.mark.parametrize("name", CASES)
def test_complex_variables_move_as_pairs_of_real_ones(name):
    z = tn.Tensor(START + 1j * TARGET)
    pair = tn.Tensor(np.stack([START, TARGET]))
    gradient = RNG.normal(size=(2, 5, 4))
    for variable_, g in ((z, gradient[0] + 1j * gradient[1]), (pair, gradient)):
        optimiser = CASES[name][0]()
        for _ in range(3):
            optimiser.apply_gradients([(g, variable_)])
    np.testing.assert_allclose(z.array, pair.array[0] + 1j * pair.array[1], rtol=1e-14)


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (1,), (40000,)])
def test_variables_of_any_size_move(shape):
    w = tn.Tensor(np.ones(shape))
    nn.SGD(0.25, momentum=0.5).apply_gradients([(np.ones(shape), w)])
    np.testing.assert_array_equal(w.array, np.full(shape, 0.75))


def test_variables_that_are_not_contiguous_move():
    base = START.copy()
    w = tn.Tensor(base.T[::2])
    nn.Adam(0.1).apply_gradients([(np.ones((2, 5)), w)])
    np.testing.assert_allclose(base[:, ::2], START[:, ::2] - 0.1, rtol=1e-6)
    np.testing.assert_array_equal(base[:, 1::2], START[:, 1::2])


def test_gradients_that_are_read_only_are_not_written_to():
    gradient = np.broadcast_to(np.ones(4), (5, 4))
    for name in CASES:
        CASES[name][0]().apply_gradients([(gradient, variable())])
    np.testing.assert_array_equal(gradient, np.ones((5, 4)))


def test_a_bad_gradient_moves_nothing():
    one, two = variable(), variable()
    optimiser = nn.SGD(0.1)
    with pytest.raises(ShapeError, match=r"gradient of shape \(3,\) for a variable of shape"):
        optimiser.apply_gradients([(np.ones((5, 4)), one), (np.ones(3), two)])
    with pytest.raises(ValueError, match="twice"):
        optimiser.apply_gradients([(np.ones((5, 4)), one)] * 2)
    with pytest.raises(ShapeError, match="a loss is a single number"):
        optimiser.minimize(lambda: one * one, [one])
    np.testing.assert_array_equal(one.array, START)
    assert optimiser.step == 0


def test_shared_variables_count_once():
    w = variable()
    assert len(nn.SGD(0.1).compute_gradients(loss_of(w), [w, w])) == 1


def test_a_variable_that_the_loss_does_not_depend_on_has_no_gradient():
    w, other = variable(), variable()
    pairs = nn.SGD(0.1).compute_gradients(loss_of(w), [w, other])
    assert pairs[0][0] is not None
    assert pairs[1] == (None, other) or pairs[1][0] is None


def test_parameters_made_in_the_first_call_are_moved_by_the_first_step():
    model = nn.Dense(3, seed=0)
    x = np.ones((2, 4), np.float32)
    nn.SGD(0.5).minimize(lambda: tn.sum(model(x)), model)
    np.testing.assert_array_equal(model.bias.array, [-1, -1, -1])


def test_clipping_by_value_and_by_norm():
    w = tn.Tensor(np.zeros(4))
    nn.SGD(1.0, clip_value=2.0).apply_gradients([(np.array([3.0, 1, -5, 0]), w)])
    np.testing.assert_array_equal(w.array, [-2, -1, 2, 0])
    one, two, still = (tn.Tensor(np.zeros(1)) for _ in range(3))
    pairs = [(np.array([6.0]), one), (np.array([8.0]), two), (None, still)]
    assert nn.global_norm(pairs) == 10
    nn.SGD(1.0, clip_norm=1.0).apply_gradients(pairs)
    np.testing.assert_allclose([*one.array, *two.array, *still.array], [-0.6, -0.8, 0])
    assert nn.clip_by_global_norm(pairs, 11.0)[0][0] is pairs[0][0]
    with pytest.raises(ValueError, match="positive"):
        nn.clip_by_value(pairs, 0)


def test_schedules_set_the_rate_by_the_step():
    w = tn.Tensor(np.zeros(1))
    optimiser = nn.SGD(nn.schedules.PiecewiseConstant([1], [1.0, 0.5]))
    for _ in range(2):
        optimiser.apply_gradients([(np.ones(1), w)])
    np.testing.assert_array_equal(w.array, [-1.5])
    assert "learning_rate" not in optimiser.state_dict({"w": w})


@pytest.mark.parametrize(
    ("schedule", "steps", "rates"),
    [
        (nn.schedules.ExponentialDecay(1.0, 2, 0.25), [0, 1, 2], [1, 0.5, 0.25]),
        (nn.schedules.ExponentialDecay(1.0, 2, 0.25, True), [0, 1, 2], [1, 1, 0.25]),
        (nn.schedules.InverseTimeDecay(1.0, 1, 1.0), [0, 1, 3], [1, 0.5, 0.25]),
        (nn.schedules.PolynomialDecay(1.0, 4, 0.5, 2.0), [0, 2, 4, 9], [1, 0.625, 0.5, 0.5]),
        (nn.schedules.CosineDecay(1.0, 2, 0.2), [0, 1, 2, 7], [1, 0.6, 0.2, 0.2]),
        (
            nn.schedules.Warmup(nn.schedules.CosineDecay(1.0, 2), 2),
            [0, 1, 2, 3, 4],
            [0.5, 1, 1, 0.5, 0],
        ),
    ],
)
def test_schedules(schedule, steps, rates):
    np.testing.assert_allclose([schedule(step) for step in steps], rates, atol=1e-15)


def test_bad_settings_are_refused():
    for make in (
        lambda: nn.SGD(-1.0),
        lambda: nn.SGD(0.1, momentum=1.0),
        lambda: nn.SGD(0.1, nesterov=True),
        lambda: nn.Adam(beta_1=-0.1),
        lambda: nn.AdamW(weight_decay=-1.0),
        lambda: nn.schedules.PiecewiseConstant([1], [0.1]),
        lambda: nn.schedules.PiecewiseConstant([2, 1], [0.1, 0.2, 0.3]),
        lambda: nn.schedules.CosineDecay(0.1, 0),
        lambda: optimiser_of("adamax"),
    ):
        with pytest.raises(ValueError, match=r"."):
            make()


def test_optimisers_have_names():
    assert type(optimiser_of("AdamW")) is nn.AdamW
    mine = nn.SGD(0.1)
    assert optimiser_of(mine) is mine
