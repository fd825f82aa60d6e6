"""A Dataset gives the elements that its methods say, as often as one likes, repeatably."""

from __future__ import annotations

import itertools
import math
from collections import Counter, namedtuple
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensornet.errors import ShapeError
from tensornet.nn import Dataset


def numbers(count: int) -> Dataset:
    """0 to count - 1 as rows of an array."""
    return Dataset.from_arrays(np.arange(count))


def streamed(count: int) -> Dataset:
    """The same from a generator, whose length is not known."""
    return Dataset.from_generator(lambda: iter(np.arange(count)))


def values(data: Dataset) -> list[Any]:
    return [np.asarray(element).tolist() for element in data]


SOURCES = [numbers, streamed]
both = pytest.mark.parametrize("source", SOURCES)


# where elements come from


def test_rows_of_one_array_of_several_and_of_a_dict() -> None:
    x, y = np.arange(6.0).reshape(3, 2), np.array([1, 2, 3])
    assert values(Dataset.from_arrays(x)) == x.tolist()
    for data in (Dataset.from_arrays(x, y), Dataset.from_arrays((x, y))):
        first = next(iter(data))
        assert isinstance(first, tuple)
        assert first[0].tolist() == [0, 1]
        assert first[1] == 1
    named = list(Dataset.from_arrays({"x": x, "rest": (y, y)}))
    assert named[2]["x"].tolist() == [4, 5]
    assert named[2]["rest"] == (3, 3)


def test_arrays_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"differ, 2 and 3; the shapes are \(3, 1\), \(2,\)"):
        Dataset.from_arrays(np.zeros((3, 1)), np.zeros(2))
    for nothing in ((), ({},), (5,), (np.zeros(3), 5)):
        with pytest.raises(ShapeError, match="at least one array, each with an axis"):
            Dataset.from_arrays(*nothing)
    with pytest.raises(ShapeError, match="from_generator"):
        Dataset.from_arrays([[1], [1, 2]])
    with pytest.raises(TypeError, match="generator"):
        Dataset.from_arrays([], (x for x in ()))


def test_arrays_are_not_copied_and_cannot_be_written_to_by_accident() -> None:
    x = np.zeros((4, 2))
    (batch,) = Dataset.from_arrays(x).batch(4)
    assert np.shares_memory(batch, x)
    with pytest.raises(ValueError, match="read-only"):
        batch += 1
    x[0] = 1  # the caller's own array stays as it was
    assert batch[0].tolist() == [1, 1]


def test_a_generator_is_called_for_each_epoch_and_closed_at_a_break() -> None:
    events = []

    def generate() -> Iterator[int]:
        events.append("begin")
        try:
            yield from range(3)
        finally:
            events.append("end")

    data = Dataset.from_generator(generate)
    assert values(data) == [0, 1, 2]
    for _ in data:
        break
    assert events == ["begin", "end"] * 2


def test_a_generator_that_is_no_function_is_refused() -> None:
    with pytest.raises(TypeError, match="only once"):
        Dataset.from_generator(iter([1]))  # type: ignore[arg-type]


@pytest.mark.parametrize(("declared", "message"), [(2, "more than"), (4, "yields 3 elements")])
def test_a_generator_of_another_length_than_it_said_is_an_error(
    declared: int, message: str
) -> None:
    data = Dataset.from_generator(lambda: range(3), length=declared)
    assert len(data) == declared
    with pytest.raises(ValueError, match=message):
        list(data)


# methods


def test_map_gives_the_parts_of_a_tuple_as_arguments() -> None:
    data = Dataset.from_arrays([1, 2], [3, 4])
    assert values(data.map(lambda a, b: a * b)) == [3, 8]
    assert values(Dataset.from_arrays({"a": [1, 2]}).map(lambda d: d["a"] + 1)) == [2, 3]
    assert values(data.filter(lambda a, b: a > 1)) == [[2, 4]]


def test_a_stop_iteration_of_a_function_does_not_cut_the_data_short() -> None:
    def stop(_: Any) -> None:
        raise StopIteration

    for data in (
        numbers(3).map(stop),
        numbers(3).map(stop, workers=1),
        numbers(3).filter(stop),
        numbers(3).map(stop).prefetch(),
    ):
        with pytest.raises(RuntimeError):
            list(data)


def test_a_function_draws_from_the_seed_whatever_the_number_of_workers() -> None:
    def noise(x: Any, rng: np.random.Generator) -> float:
        return float(x) + rng.random()

    runs = [
        [list(data), list(data)]
        for data in (numbers(9).map(noise, workers, seed=5) for workers in (0, 1, 4))
    ]
    assert runs[0] == runs[1] == runs[2]
    assert len(set(itertools.chain(*runs[0]))) == 18  # other draws in each place and epoch
    assert runs[0][0] != list(numbers(9).map(noise, seed=6))


@both
@pytest.mark.parametrize("buffer", [1, 2, 7, 10, 99, None])
def test_a_shuffle_gives_every_element_once_and_none_long_before_its_turn(
    source: Callable[[int], Dataset], buffer: int | None
) -> None:
    order = values(source(10).shuffle(buffer, seed=1))
    assert sorted(order) == list(range(10))
    reach = 10 if buffer is None else buffer
    assert all(value < place + reach for place, value in enumerate(order))
    assert (order == list(range(10))) == (buffer == 1)


@both
def test_a_shuffle_is_another_one_in_each_epoch_and_the_same_for_a_seed(
    source: Callable[[int], Dataset],
) -> None:
    def epochs(data: Dataset) -> list[list[int]]:
        return [values(data) for _ in range(3)]

    assert epochs(source(50).shuffle(50, 3)) == epochs(source(50).shuffle(50, 3))
    first, second, third = epochs(source(50).shuffle(50, 3))
    assert first != second != third != first
    assert first != values(source(50).shuffle(50, 4))
    first, second, _ = epochs(source(50).shuffle(50, 3, reshuffle_each_iteration=False))
    assert first == second


def test_a_shuffle_neither_uses_nor_changes_the_random_state_of_numpy() -> None:
    np.random.seed(1)
    before = np.random.get_state()[1].tolist()  # type: ignore[index, union-attr]
    first = values(numbers(20).shuffle(5, 0))
    assert np.random.get_state()[1].tolist() == before  # type: ignore[index, union-attr]
    np.random.seed(2)
    assert values(numbers(20).shuffle(5, 0)) == first


def test_every_order_is_as_likely() -> None:
    data = numbers(3).shuffle(3, 11)
    found = Counter(tuple(values(data)) for _ in range(1200))
    assert len(found) == 6
    assert min(found.values()) > 150  # 200 expected; the seed is fixed


@both
def test_the_last_batch_is_short_or_left_out(source: Callable[[int], Dataset]) -> None:
    assert values(source(5).batch(2)) == [[0, 1], [2, 3], [4]]
    assert values(source(5).batch(2, drop_remainder=True)) == [[0, 1], [2, 3]]
    assert values(source(4).batch(2, drop_remainder=True)) == [[0, 1], [2, 3]]
    assert values(source(5).batch(9)) == [[0, 1, 2, 3, 4]]
    assert values(source(5).batch(9, drop_remainder=True)) == []
    assert values(source(2).batch(1)) == [[0], [1]]


def test_batches_of_batches_and_of_structures() -> None:
    data = Dataset.from_arrays({"x": np.arange(4), "y": (np.arange(4), np.arange(4) / 2)})
    (batch,) = data.map(lambda e: e).batch(4)
    assert batch["x"].tolist() == [0, 1, 2, 3]
    assert batch["y"][1].dtype == np.float64
    assert values(numbers(4).batch(2).batch(2)) == [[[0, 1], [2, 3]]]


def test_named_tuples_stay_named() -> None:
    pair = namedtuple("pair", "x y")
    data = Dataset.from_arrays(pair(np.arange(3), np.arange(3)))
    assert next(iter(data)).y == 0
    assert next(iter(data.batch(2))).y.tolist() == [0, 1]
    assert next(iter(data.map(pair).batch(2))).x.tolist() == [0, 1]


def test_elements_that_make_no_batch_are_refused_with_the_place_and_both_shapes() -> None:
    ragged = Dataset.from_generator(lambda: [np.zeros(2), np.zeros(2), np.zeros(3)])
    with pytest.raises(ShapeError, match=r"element 2 of a batch has extents \(3,\).*has \(2,\)"):
        list(ragged.batch(3))
    for odd in ([(1, 2), (1, 2, 3)], [(1, 2), 1], [{"a": 1}, {"b": 1}], [{"a": 1}, 1], [1, (1,)]):
        with pytest.raises(ShapeError, match="element 1"):
            list(Dataset.from_generator(lambda odd=odd: odd).batch(2))  # type: ignore[misc]
    with pytest.raises(TypeError, match="NoneType"):
        list(Dataset.from_generator(lambda: [None]).batch(1))


@both
def test_unbatch_undoes_batch(source: Callable[[int], Dataset]) -> None:
    assert values(source(5).batch(2).unbatch()) == [0, 1, 2, 3, 4]
    pairs = source(3).map(lambda n: (n, n + 1)).batch(2).unbatch()
    assert values(pairs) == [[0, 1], [1, 2], [2, 3]]
    for wrong in (source(3), source(3).map(lambda n: (np.zeros(2), np.zeros(3)))):
        with pytest.raises(ShapeError, match="unbatch"):
            list(wrong.unbatch())


@both
def test_repeat_take_and_skip(source: Callable[[int], Dataset]) -> None:
    assert values(source(2).repeat(3)) == [0, 1] * 3
    assert values(source(2).repeat(0)) == []
    assert values(source(2).repeat().take(5)) == [0, 1, 0, 1, 0]
    assert values(source(5).skip(1).take(3).skip(1)) == [2, 3]
    assert values(source(5).take(9)) == [0, 1, 2, 3, 4]
    assert values(source(5).skip(9).batch(2)) == []
    assert values(source(5).take(3).batch(2)) == [[0, 1], [2]]
    assert values(source(2).repeat(2).batch(3)) == [[0, 1, 0], [1]]


@both
def test_each_repetition_is_shuffled_as_an_epoch(source: Callable[[int], Dataset]) -> None:
    data = source(20).shuffle(8, 1)
    epochs = [values(data) for _ in range(4)]
    twice = data.repeat(2)
    assert values(twice) == epochs[0] + epochs[1]
    assert values(twice) == epochs[2] + epochs[3]
    endless = source(20).shuffle(8, 1).repeat()
    assert values(endless.take(40)) == epochs[0] + epochs[1]
    second = [np.asarray(e).tolist() for e in itertools.islice(endless.iterate(epoch=1), 20)]
    assert second not in epochs


def test_an_endless_repetition_of_nothing_does_not_hang() -> None:
    assert values(numbers(0).repeat()) == []
    assert numbers(0).repeat().cardinality() == 0
    for empty in (streamed(0), numbers(3).filter(lambda n: False)):
        with pytest.raises(ValueError, match="endless repetition of no elements"):
            list(empty.repeat())
        assert values(empty.repeat(3)) == []


def test_a_cache_asks_its_source_once_and_keeps_the_order_of_that_pass() -> None:
    calls = []
    data = streamed(5).shuffle(5, 1).map(lambda n: calls.append(n) or n).cache()
    next(iter(data))  # a pass that does not end is not kept
    first = values(data)
    assert values(data) == values(data) == first
    assert len(calls) == 1 + 5
    assert len(data) == 5
    assert sorted(values(data.shuffle(5, 2))) == [0, 1, 2, 3, 4]


def test_cached_arrays_are_read_only() -> None:
    data = Dataset.from_generator(lambda: [np.zeros(2)]).cache()
    for _ in range(2):
        for element in data:
            with pytest.raises(ValueError, match="read-only"):
                element += 1


def test_zip_ends_with_the_shortest() -> None:
    for left, right in itertools.product(SOURCES, SOURCES):
        assert values(left(3).zip(right(2).map(lambda n: n + 5))) == [[0, 5], [1, 6]]
        assert values(Dataset.zip(left(2), right(3), left(4))) == [[0, 0, 0], [1, 1, 1]]
        assert values(left(4).skip(1).zip(right(3)).batch(2)) == [
            [[1, 2], [0, 1]],
            [[3], [2]],
        ]
    with pytest.raises(TypeError, match="Datasets"):
        numbers(3).zip([1, 2])  # type: ignore[arg-type]


def test_zipped_after_equal_shuffles_elements_still_correspond() -> None:
    for left, right in itertools.product(SOURCES, SOURCES):
        data = left(30).shuffle(9, 2).zip(right(30).shuffle(9, 2))
        for _ in range(2):
            assert all(a == b for a, b in data)


def test_enumerate_counts() -> None:
    assert values(numbers(2).enumerate()) == [[0, 0], [1, 1]]
    assert values(streamed(2).enumerate(5)) == [[5, 0], [6, 1]]


def test_interleave_is_that_of_tf_data() -> None:
    data = Dataset.from_arrays(np.arange(1, 6))
    turns = data.interleave(lambda n: numbers(6).map(lambda _: n), cycle_length=2, block_length=4)
    expected = "1111 2222 11 22 3333 4444 33 44 5555 55".replace(" ", "")
    assert "".join(map(str, turns)) == expected  # the example of its documentation
    assert values(numbers(3).interleave(lambda n: [n] * int(n), 5)) == [1, 2, 2]
    assert values(numbers(3).interleave(lambda n: [n, n], 1)) == [0, 0, 1, 1, 2, 2]
    with pytest.raises(TypeError, match="float"):
        list(numbers(1).interleave(lambda n: 1.0, 1))  # type: ignore[arg-type, return-value]


def test_interleave_closes_what_it_opened_at_a_break() -> None:
    closed = []

    def generate(n: int) -> Iterator[int]:
        try:
            yield from [n] * 5
        finally:
            closed.append(n)

    for _ in streamed(3).interleave(lambda n: Dataset.from_generator(lambda: generate(int(n))), 3):
        break
    assert closed == [0]
    iteration = iter(streamed(3).interleave(lambda n: generate(int(n)), 3))
    assert [next(iteration) for _ in range(4)] == [0, 1, 2, 0]
    iteration.close()
    assert sorted(closed[1:]) == [0, 1, 2]
    assert list(iteration) == []


# lengths


def test_the_length_is_known_where_it_can_be() -> None:
    ten = numbers(10)
    assert [len(d) for d in (ten, ten.batch(3), ten.batch(3, drop_remainder=True))] == [10, 4, 3]
    assert [len(d) for d in (ten.take(3), ten.take(30), ten.skip(3), ten.skip(30))] == [3, 10, 7, 0]
    assert [len(d) for d in (ten.repeat(3), ten.repeat(3).batch(7), ten.repeat(0))] == [30, 5, 0]
    assert len(ten.map(abs).shuffle(3, 0).prefetch().cache().enumerate()) == 10
    assert len(ten.zip(ten.repeat(), ten.take(4))) == 4
    assert len(ten.repeat().take(7)) == 7
    assert ten.repeat().batch(2).cardinality() == math.inf
    for unknown in (streamed(3), ten.filter(bool), ten.batch(2).unbatch(), ten.zip(streamed(3))):
        assert unknown.cardinality() is None
        assert unknown.repeat(2).skip(1).take(1).batch(2).cardinality() is None
        with pytest.raises(TypeError, match="unknown length"):
            len(unknown)
    with pytest.raises(TypeError, match="endless"):
        len(ten.repeat())
    assert len(streamed(3).take(0)) == 0
    assert ten.interleave(lambda n: [n], 1).cardinality() is None


@both
def test_empty_datasets_and_datasets_of_one(source: Callable[[int], Dataset]) -> None:
    def grown(data: Dataset) -> Dataset:
        data = data.shuffle(4, 0).map(lambda n: n + 1, workers=2).filter(lambda n: True).cache()
        data = data.enumerate().repeat(2).batch(2).unbatch().prefetch()
        return data.zip(data).interleave(lambda a, b: [a], 3)

    for _ in range(2):
        assert values(grown(source(0))) == []
        assert values(grown(source(1))) == [[0, 1], [0, 1]]
        assert values(source(0).batch(3)) == values(source(0).shuffle(None, 0).batch(3)) == []


def test_arguments_that_cannot_be_are_refused() -> None:
    data = numbers(3)
    wrong: list[Callable[[], Any]] = [
        lambda: data.batch(0),
        lambda: data.shuffle(0, 1),
        lambda: data.shuffle(1, -1),
        lambda: data.map(abs, -1),
        lambda: data.map(abs, seed=-1),
        lambda: data.take(-1),
        lambda: data.skip(-1),
        lambda: data.repeat(-1),
        lambda: data.prefetch(0),
        lambda: data.interleave(lambda n: [n], 0),
        lambda: data.interleave(lambda n: [n], 1, 0),
        lambda: data.repeat().shuffle(None, 0),
        lambda: data.repeat().cache(),
        lambda: data.iterate(epoch=-1),
    ]
    for call in wrong:
        with pytest.raises(ValueError, match=r"below|endless"):
            call()
    for size in (2.5, None, "2"):
        with pytest.raises(TypeError, match="batch_size is a whole number"):
            data.batch(size)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="seed"):
        data.shuffle(3, None)  # type: ignore[arg-type]


# rows of arrays take a short road; it leads to the same place

METHODS = st.one_of(
    st.tuples(st.just("shuffle"), st.sampled_from([1, 3, 50, None]), st.integers(0, 3)),
    st.tuples(st.sampled_from(["take", "skip"]), st.integers(0, 20)),
    st.tuples(st.just("repeat"), st.integers(0, 3)),
    st.tuples(st.just("cache")),
)


@given(st.integers(0, 15), st.lists(METHODS, max_size=5), st.integers(1, 7), st.booleans())
def test_fused_and_streamed_elements_are_the_same(
    count: int, steps: list[tuple[Any, ...]], size: int, drop: bool
) -> None:
    fused, stream = numbers(count), streamed(count)
    for name, *arguments in steps:
        fused = getattr(fused, name)(*arguments)
        stream = getattr(stream, name)(*arguments)
    for make in (lambda d: d, lambda d: d.batch(size, drop_remainder=drop)):
        one, other = make(fused), make(stream)
        for _ in range(2):
            found = values(one)
            assert found == values(other)
            assert len(one) == len(found)
        place = len(found) // 2
        state = {"epoch": 1, "position": place}
        assert values(one.iterate(state)) == values(other.iterate(state)) == found[place:]  # type: ignore[arg-type]


def test_arrays_of_torch_are_taken() -> None:
    torch = pytest.importorskip("torch")
    assert values(Dataset.from_arrays(torch.arange(3)).batch(2)) == [[0, 1], [2]]
    assert values(Dataset.from_generator(lambda: iter(torch.arange(3))).batch(3)) == [[0, 1, 2]]
