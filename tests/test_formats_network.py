"""Networks as JSON and their seeded values; reading text files of any kind."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path

import numpy as np
import opt_einsum
import pytest

from tensornet.errors import FormatError, MemoryLimitError
from tensornet.expr import Expr
from tensornet.formats import random_arrays, read_network
from tensornet.formats.text import read_text

DATA = Path(__file__).parent / "data"
SHARED = Path(__file__).parents[2] / "shared" / "data" / "networks"


def test_a_network_is_read_with_its_own_index_ids() -> None:
    network = read_network(DATA / "chain.json")
    assert network.name == "chain"
    assert network.expr == Expr(((0, 1), (1, 2), (2, 3)), (0, 3), (2, 30, 40, 3))


def test_gzip_is_recognised_by_content_not_by_name(tmp_path: Path) -> None:
    raw = (DATA / "chain.json").read_bytes()
    for name in ("packed.json", "packed.json.gz"):
        (tmp_path / name).write_bytes(gzip.compress(raw))
        assert read_network(tmp_path / name) == read_network(DATA / "chain.json")


def test_open_files_of_text_and_of_bytes_are_read() -> None:
    raw = (DATA / "chain.json").read_bytes()
    assert read_network(io.BytesIO(raw)) == read_network(io.StringIO(raw.decode()))


def test_a_network_without_a_name_takes_that_of_its_file(tmp_path: Path) -> None:
    path = tmp_path / "pair.json.gz"
    path.write_bytes(gzip.compress(b'{"inputs": [[0], [0]], "output": [], "sizes": [2]}'))
    assert read_network(path).name == "pair"


GOOD = {"inputs": [[0, 1], [1]], "output": [0], "sizes": [2, 3]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inputs": None}, "list under the key 'inputs'"),
        ({"sizes": {"0": 2}}, "list under the key 'sizes'"),
        ({"inputs": [[0, 1], 1]}, "list of index ids"),
        ({"inputs": []}, "no tensors"),
        ({"inputs": [[0, 1], [2]]}, r"inputs\[1\]\[0\] is 2; it must be from 0 to 1"),
        ({"inputs": [[0, -1], [1]]}, r"inputs\[0\]\[1\] is -1"),
        ({"inputs": [[0, "b"], [1]]}, r"inputs\[0\]\[1\] is 'b', not a whole number"),
        ({"inputs": [[0, 1.0], [1]]}, r"inputs\[0\]\[1\] is '1.0', not a whole number"),
        ({"inputs": [[0, True], [1]]}, r"inputs\[0\]\[1\] is 'True', not a whole number"),
        ({"sizes": [2, -3]}, r"sizes\[1\] is -3"),
        ({"sizes": [2, 2**70]}, r"sizes\[1\] is 1180591620717411303424"),
        ({"sizes": [2, 3, 4]}, "index 2 has an entry in 'sizes' but is on no tensor"),
        ({"output": [0, 0]}, "index 0 is repeated in 'output'"),
        ({"output": [5]}, r"output\[0\] is 5; it must be from 0 to 1"),
    ],
)
def test_a_bad_network_says_which_entry_is_wrong(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(GOOD | change))
    with pytest.raises(FormatError, match=message) as caught:
        read_network(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('{"inputs":\n[[0, 1],,]}', r":2: not JSON"),
        ("", r":1: not JSON"),
        ("[1, 2]", "expected a JSON object"),
        ("[" * 200_000, "nested too deeply"),
        ('{"sizes": [' + "9" * 10_000 + "]}", "too many digits"),
    ],
)
def test_broken_json_is_a_format_error(tmp_path: Path, body: str, message: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(body)
    with pytest.raises(FormatError, match=message):
        read_network(path)


def test_a_decompression_bomb_is_refused_without_being_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.json.gz"
    path.write_bytes(gzip.compress(b" " * 1_000_000))
    with pytest.raises(FormatError, match="more than 1000 bytes of text"):
        read_text(path, max_bytes=1000)


@pytest.mark.parametrize("damage", [slice(0, 40), slice(0, -4)])
def test_a_cut_off_gzip_stream_is_a_format_error(tmp_path: Path, damage: slice) -> None:
    path = tmp_path / "cut.json.gz"
    path.write_bytes(gzip.compress((DATA / "chain.json").read_bytes())[damage])
    with pytest.raises(FormatError, match="broken gzip stream"):
        read_network(path)


@pytest.mark.parametrize("raw", [b"MARKOV\n\xff\xfe\x00", b"12\n0 h\x00 0\n", b"a\n\x89PNG"])
def test_bytes_that_are_no_text_are_a_format_error(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "binary.qsim"
    path.write_bytes(raw)
    with pytest.raises(FormatError, match=r"binary.qsim:2: not a text file"):
        read_text(path)


def test_a_missing_file_is_the_system_error() -> None:
    with pytest.raises(FileNotFoundError, match="no-such-file"):
        read_network("no-such-file.json")


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
def test_random_values_make_a_result_near_one(dtype: str) -> None:
    expr = read_network(DATA / "chain.json").expr
    arrays = random_arrays(expr, dtype, seed=3)
    assert [a.shape for a in arrays] == list(expr.shapes)
    assert all(a.dtype == dtype for a in arrays)
    result = np.linalg.multi_dot(arrays)
    assert abs(result - 1).max() < 0.3


def test_equal_seeds_give_equal_values_and_other_seeds_others() -> None:
    expr = read_network(DATA / "chain.json").expr
    first, again, other = (random_arrays(expr, seed=seed) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again))
    assert not any(np.array_equal(a, b) for a, b in zip(first, other))


def test_random_values_cover_scalars_empty_tensors_and_hyperedges() -> None:
    expr = Expr(((), (0,), (0, 1), (0,), (2,), (1,)), (), (4, 3, 0))
    arrays = random_arrays(expr, seed=5)
    assert [a.shape for a in arrays] == [(), (4,), (4, 3), (4,), (0,), (3,)]
    assert arrays[0] == 1
    smaller = Expr(((0,), (0, 1), (0,), (1,)), (), (4, 3))
    parts = random_arrays(smaller, seed=5)
    assert abs(np.einsum("a,ab,a,b->", *parts) - 1) < 0.5


def test_thousands_of_loose_parts_neither_overflow_nor_vanish() -> None:
    expr = Expr(tuple((i // 2,) for i in range(8000)), (), (2,) * 4000)
    arrays = random_arrays(expr, "float32", seed=0)
    logs = [np.log(float(a @ b)) for a, b in zip(arrays[::2], arrays[1::2])]
    assert abs(sum(logs)) < 40


def test_values_that_cannot_fit_are_refused_before_allocation() -> None:
    with pytest.raises(MemoryLimitError, match=r"take 9\.22 EB, but .* available"):
        random_arrays(Expr(((0,),), (), (2**60,)), "float64")


def test_integer_values_are_refused() -> None:
    with pytest.raises(TypeError, match="float64 or complex128, not int64"):
        random_arrays(Expr(((0,), (0,)), (), (2,)), "int64")


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared networks are not on this machine")
def test_every_published_network_is_read() -> None:
    paths = sorted(SHARED.glob("*.json.gz"))
    assert paths
    for path in paths:
        network = read_network(path)
        assert network.name == path.name.removesuffix(".json.gz")
        assert len(network.expr.shapes) == len(network.expr.inputs)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared networks are not on this machine")
@pytest.mark.parametrize("name", ["tree_2000", "mps_inner_100", "reg3_80"])
def test_published_networks_with_random_values_stay_in_range(name: str) -> None:
    expr = read_network(SHARED / f"{name}.json.gz").expr
    arrays = random_arrays(expr, "float32", seed=0)
    operands = [x for array, term in zip(arrays, expr.inputs) for x in (array, term)]
    value = abs(float(opt_einsum.contract(*operands, expr.output, optimize="greedy")))
    assert 1e-30 < value < 1e30
