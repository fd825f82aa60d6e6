"""An iteration that is stored and continued gives exactly what would have followed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tensornet.nn import Dataset

ROWS = 17


def rows() -> Dataset:
    return Dataset.from_arrays(np.arange(ROWS), np.arange(ROWS) / 2)


def streamed() -> Dataset:
    return Dataset.from_generator(lambda: zip(range(ROWS), np.arange(ROWS) / 2))


def augmented(x: Any, y: Any, rng: np.random.Generator) -> Any:
    return x + rng.random(np.shape(x)), y


PIPELINES: dict[str, Callable[[Dataset], Dataset]] = {
    "training": lambda d: d.shuffle(None, 1).batch(4).map(augmented, 2, seed=3).prefetch(2),
    "small buffer": lambda d: d.shuffle(5, 1).batch(4),
    "repeated": lambda d: d.shuffle(5, 1).repeat(3).batch(4, drop_remainder=True),
    "endless": lambda d: d.shuffle(5, 1).repeat().batch(4).take(20),
    "parts": lambda d: d.shuffle(9, 2).skip(2).take(11).enumerate(3),
    "filtered": lambda d: d.shuffle(9, 2).filter(lambda x, y: x % 3 > 0).repeat(2).batch(2),
    "cached": lambda d: d.shuffle(9, 2).map(augmented, seed=1).cache().shuffle(4, 1).batch(3),
    "zipped": lambda d: d.shuffle(9, 2).zip(d.shuffle(9, 3)).batch(3),
    "unbatched": lambda d: d.shuffle(9, 2).batch(5).unbatch(),
    "interleaved": lambda d: d.shuffle(9, 2).interleave(lambda x, y: [x, y, x], 3, 2).batch(4),
}


def plain(element: Any) -> Any:
    if isinstance(element, tuple):
        return [plain(part) for part in element]
    return np.asarray(element).tolist()


def all_of(data: Any) -> list[Any]:
    return [plain(element) for element in data]


@pytest.mark.parametrize("source", [rows, streamed])
@pytest.mark.parametrize("name", PIPELINES)
def test_a_run_that_is_continued_sees_the_elements_of_an_uninterrupted_one(
    name: str, source: Callable[[], Dataset]
) -> None:
    data = PIPELINES[name](source())
    epochs = [all_of(data) for _ in range(3)]
    for stop in {0, 1, 2, len(epochs[1]) - 1, len(epochs[1])}:
        data = PIPELINES[name](source())  # as another process would
        iteration = data.iterate(epoch=1)
        for _ in range(stop):
            next(iteration)
        stored = json.dumps(iteration.state())
        iteration.close()
        data = PIPELINES[name](source())
        assert all_of(data.iterate(json.loads(stored))) == epochs[1][stop:]
        assert all_of(data) == epochs[2]


def test_what_is_skipped_is_not_computed_where_it_need_not_be() -> None:
    calls = []
    data = rows().shuffle(None, 1).batch(2).map(lambda x, y: calls.append(x) or x)
    rest = list(data.iterate({"epoch": 0, "position": 7}))
    assert len(rest) == len(calls) == 2


def test_a_state_says_where_an_iteration_stands() -> None:
    data = rows().shuffle(3, seed=5).batch(2)
    iteration = data.iterate()
    next(iteration)
    assert iteration.state() == {
        "epoch": 0,
        "position": 1,
        "dataset": "rows(0, 17).shuffle(3, seed=5).batch(2)",
    }
    assert repr(data) == "<Dataset rows(0, 17).shuffle(3, seed=5).batch(2)>"
    list(iteration)
    assert iteration.state()["position"] == len(data)
    assert data.iterate().state()["epoch"] == 1


def test_prefetch_workers_and_a_range_that_is_cached_may_differ() -> None:
    state = rows().batch(2).map(abs).iterate().state()
    rows().cache().batch(2).map(abs, workers=2).prefetch(3).iterate(state)


def test_two_iterations_at_once_do_not_disturb_each_other() -> None:
    data = rows().shuffle(4, 1)
    expected = [all_of(data.iterate(epoch=e)) for e in (0, 1)]
    pairs = list(zip(data.iterate(epoch=0), data.iterate(epoch=1)))
    assert [all_of(side) for side in zip(*pairs)] == expected


def test_states_of_other_datasets_and_damaged_ones_are_refused() -> None:
    data = rows().shuffle(4, seed=1).batch(2)
    for other in (rows().shuffle(4, seed=2).batch(2), rows().take(9).shuffle(4, seed=1).batch(2)):
        with pytest.raises(ValueError, match="another dataset"):
            data.iterate(other.iterate().state())
    with pytest.raises(ValueError, match="no position"):
        data.iterate({"epoch": 1})
    for wrong in ({"epoch": -1, "position": 0}, {"epoch": 0, "position": -1}):
        with pytest.raises(ValueError, match="below 0"):
            data.iterate(wrong)
    with pytest.raises(TypeError, match="whole number"):
        data.iterate({"epoch": 0.5, "position": 0})
    with pytest.raises(ValueError, match="leave out"):
        data.iterate({"epoch": 0, "position": 0}, epoch=1)
    assert data.iterate().state()["epoch"] == 0  # refused calls change nothing
