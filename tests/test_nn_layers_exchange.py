"""Convolutions before poolings: bias and relu may wait, and nobody can tell."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tensornet import GradientTape, nn
from tensornet.nn.layers.exchange import may_exchange


class Apart(nn.Conv2D):
    """As Conv2D, but by a method of its own, so that nothing is exchanged."""

    def forward(self, x: Any) -> Any:
        return super().forward(x)


def model_of(kind: type[nn.Conv2D], **options: Any) -> nn.Sequential:
    pool = {"pool_size": 3, "strides": 2, "padding": options.pop("pool", "valid")}
    conv = kind(8, 3, bias_initialiser="normal", **options)
    return nn.Sequential([conv, nn.MaxPool2D(**pool), nn.Flatten(), nn.Dense(3)], seed=0)


@pytest.mark.parametrize(
    "options",
    [
        {"activation": "relu"},
        {},
        {"activation": "relu", "use_bias": False},
        {"activation": "relu", "pool": "same", "padding": "same"},
        {"activation": "relu", "pool": 1},
        {"activation": "tanh"},
        {"activation": "relu", "groups": 2},
    ],
    ids=str,
)
def test_results_and_gradients_are_the_same(options: Any) -> None:
    x = np.random.default_rng(0).standard_normal((4, 9, 8, 2)).astype(np.float32)
    found = []
    for kind in (nn.Conv2D, Apart):
        model = model_of(kind, **options)
        with GradientTape() as tape:
            y = model(x)
            loss = nn.losses.mean_squared_error(y, np.ones((4, 3)))
        found.append([y, *tape.gradient(loss, model.parameters())])
    np.testing.assert_array_equal(found[0][0].array, found[1][0].array)
    for one, other in zip(*found):
        np.testing.assert_allclose(one.array, other.array, rtol=2e-5, atol=1e-6)


def test_nothing_is_exchanged_where_layers_are_not_alike() -> None:
    conv, pool = nn.Conv2D(2, 3, activation="relu"), nn.MaxPool2D(2)
    assert may_exchange(conv, pool)
    assert not may_exchange(pool, conv)
    assert not may_exchange(conv, nn.AveragePool2D(2))
    assert not may_exchange(nn.Conv2D(2, 3, activation="gelu"), pool)
    assert not may_exchange(conv, nn.MaxPool2D(2, padding=1))
    assert not may_exchange(nn.DepthwiseConv2D(3), pool)


def test_the_summary_shows_both_layers() -> None:
    summary = model_of(nn.Conv2D, activation="relu").summary((None, 9, 8, 2))
    assert [row.output_shape for row in summary.rows[1:3]] == [(None, 7, 6, 8), (None, 3, 2, 8)]
