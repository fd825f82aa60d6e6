"""Modules: parameters found by attribute, frozen, cast, saved and loaded; seeds; summaries."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import tensornet as tn
from tensornet import nn
from tensornet.errors import CheckpointError, ShapeError

X = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)


class Nested(nn.Module):
    """Parameters in an attribute, a list, a dict, and parts; one shared."""

    def __init__(self, **options):
        super().__init__(**options)
        self.w = tn.Tensor(np.ones((4, 4), np.float32))
        self.cores = [tn.Tensor(np.full((4,), 2, np.float32)), {"deep": self.w}]
        self.part = nn.Dense(3)
        self.parts = {"again": self.part, "other": nn.Dense(2)}
        self.counts = np.zeros(2)
        self._last = None

    def forward(self, x):
        self._last = (x @ self.w) * self.cores[0]
        return self.parts["other"](self.part(self._last))


def model(seed=0, **options):
    layers = [
        nn.Dense(5, activation="relu"),
        nn.BatchNorm(),
        nn.Dropout(0.5),
        nn.Dense(2),
    ]
    return nn.Sequential(layers, seed=seed, **options)


def test_parameters_are_found_in_attributes_lists_dicts_and_parts_each_once():
    nested = Nested(seed=0)
    nested(X)
    assert list(nested.named_parameters()) == [
        "w",
        "cores.0",
        "part.kernel",
        "part.bias",
        "parts.other.kernel",
        "parts.other.bias",
    ]
    assert nested.count_parameters() == 16 + 4 + 15 + 8
    assert len(nested.parameters()) == 6


def test_parameters_get_gradients_also_those_put_into_lists_later():
    nested = Nested(seed=0)
    nested.cores.append(tn.Tensor(np.ones(2, np.float32)))
    nested(X)
    with tn.GradientTape() as tape:
        loss = tn.sum(nested(X) * nested.cores[2])
    assert all(g is not None for g in tape.gradient(loss, nested.parameters()))


def test_private_attributes_and_computed_tensors_are_no_parameters():
    nested = Nested()
    nested(X)
    assert type(nested._last) is tn.Tensor
    assert "_last" not in nested.named_parameters()
    with (
        tn.GradientTape(),
        pytest.raises(TypeError, match="begins with an underscore"),
    ):
        nested.last = nested(X)


def test_a_frozen_module_has_no_gradients_and_its_arrays_are_read_only():
    whole = model()
    whole(X)
    first = whole[0]
    first.trainable = False
    assert len(whole.trainable_parameters()) == 4
    assert len(whole.parameters()) == 6
    with tn.GradientTape() as tape:
        loss = tn.sum(whole(X))
    assert tape.gradient(loss, first.kernel) is None
    with pytest.raises(ValueError, match="read-only"):
        first.kernel.array[0] = 1
    first.trainable = True
    assert len(whole.trainable_parameters()) == 6
    first.kernel.array[0] = 1


def test_a_module_frozen_before_it_is_built_stays_so():
    for frozen in (nn.Dense(2, trainable=False), model(trainable=False)):
        frozen(X)
        assert frozen.parameters()
        assert not frozen.trainable_parameters()
    whole = model()
    whole.trainable = False
    whole(X)
    assert not whole.trainable_parameters()


def test_a_single_parameter_may_be_frozen():
    layer = nn.Dense(2)
    layer(X)
    nn.freeze(layer.bias)
    assert layer.trainable_parameters() == [layer.kernel] or len(layer.trainable_parameters()) == 1


@pytest.mark.parametrize("change", [nn.freeze, nn.thaw])
def test_what_is_no_parameter_is_not_frozen(change):
    with pytest.raises(TypeError, match="set its trainable"):
        change(nn.Dense(2, seed=0))
    with pytest.raises(TypeError, match="not ndarray"):
        change(np.ones(2))


def test_seeds_reproduce_and_differ_between_layers():
    one, two, other = model(seed=3), model(seed=3), model(seed=4)
    for each in (one, two, other):
        each(X)
    for (name, a), b in zip(one.state_dict().items(), two.state_dict().values()):
        np.testing.assert_array_equal(a, b, err_msg=name)
    assert (one[0].kernel.array != other[0].kernel.array).all()
    same = nn.Sequential([nn.Dense(4), nn.Dense(4)], seed=0)
    same(X)
    assert (same[0].kernel.array != same[1].kernel.array).all()


def test_a_seed_is_heeded_however_the_model_is_built():
    called, built, nested = model(), model(), nn.Sequential([model(seed=None)], seed=0)
    called(X)
    built.build((None, 4))
    nested.build((None, 4))
    again = nn.Sequential([model(seed=None)], seed=0)
    again(X)
    for a, b in ((called, built), (nested, again)):
        for x, y in zip(a.parameters(), b.parameters()):
            np.testing.assert_array_equal(x.array, y.array)


def test_no_seed_means_another_start_each_time_and_leaves_the_global_state_alone():
    np.random.seed(0)
    before = np.random.get_state()[1].copy()
    one, two = model(seed=None), model(seed=None)
    one(X)
    two(X)
    assert (one[0].kernel.array != two[0].kernel.array).any()
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_a_dtype_is_inherited_and_cast():
    double = model(dtype="float64")
    assert double(X.astype(np.float64)).dtype == np.float64
    single = double.astype("float32")
    assert single is double
    assert {each.dtype for each in single.parameters()} == {np.dtype(np.float32)}
    assert single[1].running_mean.dtype == np.float32
    assert single(X).dtype == np.float32
    with tn.GradientTape() as tape:
        loss = tn.sum(single(X))
    assert tape.gradient(loss, single[0].kernel).dtype == np.float32
    with pytest.raises(TypeError, match="floating point"):
        single.astype("int32")


def test_casting_keeps_frozen_parameters_frozen():
    layer = nn.Dense(2, trainable=False)
    layer(X)
    layer.astype("float64")
    assert not layer.trainable_parameters()
    assert layer.kernel.dtype == np.float64


def test_state_goes_round():
    one, two = model(seed=0), model(seed=1)
    for _ in range(3):
        one(X)
    two(X)
    two.load_state_dict(one.state_dict())
    for _ in range(2):  # dropout drops the same, and batch normalisation has learned the same
        np.testing.assert_array_equal(one(X).array, two(X).array)
    np.testing.assert_array_equal(one.eval()(X).array, two.eval()(X).array)


def test_state_is_a_copy():
    layer = nn.Dense(2)
    layer(X)
    state = layer.state_dict()
    layer.kernel.array[...] = 7
    assert not (state["kernel"] == 7).any()


def test_loading_keeps_arrays_and_frozen_parameters():
    layer = nn.Dense(2, trainable=False)
    layer(X)
    array = layer.kernel.array
    state = layer.state_dict()
    layer.load_state_dict({"kernel": state["kernel"] + 1, "bias": [1, 2]})
    assert layer.kernel.array is array
    np.testing.assert_array_equal(array, state["kernel"] + 1)
    assert not layer.trainable_parameters()


def test_state_of_another_model_is_refused_and_changes_nothing():
    whole = model()
    whole(X)
    before = whole.state_dict()
    state = whole.state_dict()
    del state["layers.3.bias"]
    state["layers.4.bias"] = np.zeros(2)
    state["layers.0.kernel"] = np.zeros((3, 5))
    state["layers.1.gamma"] = np.zeros(5, complex)
    state["layers.2.noise"] = np.zeros(5, np.uint64)
    state["layers.0.bias"] = np.ones(5)
    with pytest.raises(CheckpointError) as caught:
        whole.load_state_dict(state)
    message = str(caught.value)
    for part in (
        "missing: layers.3.bias",
        "unexpected: layers.4.bias",
        "layers.0.kernel has shape (3, 5) instead of (4, 5)",
        "layers.1.gamma is complex128 instead of float32",
        "layers.2.noise has shape (5,) instead of (6,)",
    ):
        assert part in message
    after = whole.state_dict()
    for name, array in before.items():
        np.testing.assert_array_equal(array, after[name])


def test_a_model_that_is_not_built_has_nothing_to_load_into():
    built = model()
    built(X)
    with pytest.raises(CheckpointError, match=r"unexpected: .*build it first"):
        model().load_state_dict(built.state_dict())


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_are_models_of_their_own(copied):
    whole = model()
    whole(X)
    whole[3].trainable = False
    other = copied(whole)
    np.testing.assert_array_equal(other.eval()(X).array, whole.eval()(X).array)
    assert len(other.trainable_parameters()) == 4
    nn.SGD(0.1).minimize(lambda: tn.sum(other(X)), other)
    assert (other[0].kernel.array != whole[0].kernel.array).any()


def test_modes_reach_all_parts():
    whole = nn.Sequential([nn.Sequential([nn.Dropout(0.5)])])
    assert whole.eval() is whole
    assert not whole[0][0].training
    np.testing.assert_array_equal(whole(X), X)
    assert whole.train()[0][0].training


def test_building_leaves_modes_and_state_alone():
    whole = model()
    whole[2].training = False
    whole.build((None, 4))
    assert whole[1].training
    assert not whole[2].training
    np.testing.assert_array_equal(whole[1].running_mean, 0)


def test_a_module_builds_its_own_parameters_once():
    class Twice(nn.Module):
        def build(self, input_shape):
            self.add_parameter("factor", input_shape[-1:], "ones")

        def forward(self, x):
            return x * self.factor

    layer = Twice()
    layer.build((None, 4))
    factor = layer.factor
    layer.build((None, 4))
    layer(X)
    assert layer.factor is factor
    assert layer.built


def test_a_subclass_need_not_call_the_constructor_of_module():
    class Bare(nn.Module):
        def __init__(self):
            self.inner = nn.Dense(2, seed=0)

        def forward(self, x):
            return self.inner(x)

    bare = Bare()
    assert bare(X).shape == (6, 2)
    assert len(bare.trainable_parameters()) == 2


def test_the_summary_counts_shapes_parameters_and_macs():
    whole = nn.Sequential([nn.Flatten(), nn.Dense(8), nn.Sequential([nn.ReLU(), nn.Dense(2)])])
    summary = whole.summary((None, 3, 2))
    assert summary.parameters == 6 * 8 + 8 + 8 * 2 + 2
    assert summary.macs == 6 * 8 + 8 * 2
    rows = {row.path: row for row in summary.rows}
    assert rows["layers.1"].output_shape == (None, 8)
    assert rows["layers.2.layers.1"].macs == 16
    assert rows["layers.2"].parameters == 0
    assert "layer" in str(summary)
    assert whole.summary((5, 3, 2)).macs == 5 * summary.macs


def test_the_summary_counts_shared_and_frozen_parameters():
    shared = nn.Dense(4)
    whole = nn.Sequential([shared, shared, nn.Dense(1, trainable=False)])
    summary = whole.summary((None, 4))
    assert [row.parameters for row in summary.rows] == [0, 20, 0, 5]
    assert summary.macs == 16 + 16 + 4
    assert (summary.parameters, summary.trainable_parameters) == (25, 20)
    assert "frozen: 5" in str(summary)


def test_errors_name_the_layer_and_the_expected_shape():
    whole = nn.Sequential([nn.Dense(3), nn.Sequential([nn.Dense(2, name="head")])])
    whole(X)
    with pytest.raises(
        ShapeError, match=r"Dense 'layers.0' expects .* \(\.\.\., 4\), not \(6, 3\)"
    ):
        whole(X[:, :3])
    with pytest.raises(ShapeError, match=r"Dense 'head' expects"):
        whole[1](X)
    with pytest.raises(TypeError, match=r"Dense 'layers.0' expects .* float32, not float64"):
        whole(X.astype(float))
    with pytest.raises(ShapeError, match=r"needs to know the extent of axis -1"):
        nn.Dense(3).build((3, None))
    with pytest.raises(TypeError, match="no method forward"):
        nn.Module()(X)


@pytest.mark.parametrize(
    ("name", "variance"),
    [
        ("normal", 0.05**2),
        ("uniform", 0.1**2 / 12),
        ("truncated_normal", (0.05 * 0.8796) ** 2),
    ],
)
def test_initialisers_have_the_variance_that_they_promise(name, variance):
    drawn = nn.initialisers.initial(name, (300, 200), "float32", np.random.default_rng(0))
    assert drawn.dtype == np.float32
    assert abs(drawn.var() / variance - 1) < 0.02
    assert abs(drawn.mean()) < 1e-3


@pytest.mark.parametrize(
    ("name", "fan"),
    [
        ("he_normal", 300 / 2),
        ("lecun_uniform", 300),
        ("glorot_normal", 450),
        ("xavier_uniform", 450),
    ],
)
def test_initialisers_scale_by_fans(name, fan):
    drawn = nn.initialisers.initial(name, (3, 100, 200), "float64", np.random.default_rng(0))
    assert abs(drawn.var() * fan - 1) < 0.02


def test_initialisers_may_be_functions_and_arrays():
    layer = nn.Dense(
        2,
        kernel_initialiser=np.arange(8.0).reshape(4, 2),
        bias_initialiser=lambda shape, generator: np.full(shape, 5),
    )
    layer(X)
    np.testing.assert_array_equal(layer.kernel.array.ravel(), np.arange(8))
    np.testing.assert_array_equal(layer.bias.array, [5, 5])
    with pytest.raises(ShapeError, match=r"kernel of Dense has shape \(4, 2\)"):
        nn.Dense(2, kernel_initialiser=np.zeros(3))(X)
    with pytest.raises(ValueError, match="no initialiser is called 'gloro'"):
        nn.Dense(2, kernel_initialiser="gloro")(X)
    with pytest.raises(ShapeError, match="at least two axes"):
        nn.Dense(2, bias_initialiser="orthogonal")(X)


def test_orthogonal_kernels_are_so():
    layer = nn.Dense(9, kernel_initialiser="orthogonal", dtype="float64", seed=0)
    layer.build((None, 4))
    kernel = layer.kernel.array
    np.testing.assert_allclose(kernel @ kernel.T, np.eye(4), atol=1e-14)
