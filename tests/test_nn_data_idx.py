"""IDX files are read to the bit, and damaged ones are refused with their name."""

from __future__ import annotations

import gzip
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tensornet.errors import FormatError, ShapeError
from tensornet.nn import Dataset
from tensornet.nn.data import load_idx, load_mnist

CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


def packed(array: np.ndarray[Any, Any]) -> bytes:
    code = CODES[array.dtype.str[1:]]
    extents = struct.pack(f">{array.ndim}I", *array.shape)
    return (
        bytes([0, 0, code, array.ndim])
        + extents
        + array.astype(array.dtype.newbyteorder(">")).tobytes()
    )


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("shape", [(), (1,), (0,), (5, 0, 2), (3, 4, 5)])
def test_what_was_written_is_read(
    tmp_path: Path, code: str, shape: tuple[int, ...], compressed: bool
) -> None:
    array = np.random.default_rng(1).normal(size=shape) * 100
    array = np.asarray(array).astype(code)
    path = tmp_path / "file"  # the name does not matter
    path.write_bytes(gzip.compress(packed(array)) if compressed else packed(array))
    found = load_idx(path)
    assert found.dtype == array.dtype
    assert found.dtype.isnative
    np.testing.assert_array_equal(found, array)
    found[...] = 0  # it is the caller's


@pytest.mark.parametrize("compressed", [False, True])
def test_files_of_several_pieces_are_read(tmp_path: Path, compressed: bool) -> None:
    array = np.arange(700_001, dtype="i4")
    path = tmp_path / "numbers"
    path.write_bytes(gzip.compress(packed(array), 1) if compressed else packed(array))
    np.testing.assert_array_equal(load_idx(path), array)


GOOD = packed(np.arange(6, dtype="i2").reshape(2, 3))
DAMAGED = {
    "empty": (b"", "begins with nothing"),
    "short magic": (GOOD[:3], "no IDX file"),
    "text": (b"hello, world", "begins with 68 65 6c 6c"),
    "pickle": (b"\x80\x04N.", "no IDX file"),
    "unknown dtype": (b"\0\0\x0a\x01" + GOOD[4:], "a dtype of 08, 09, 0b, 0c, 0d, 0e"),
    "too many axes": (b"\0\0\x08\xff" + bytes(4 * 255), "255 axes"),
    "short extents": (GOOD[:10], "ends before the extents"),
    "short": (GOOD[:-1], "too short: it has 11 of the 12 bytes"),
    "header only": (GOOD[:12], "too short: it has 0 of the 12 bytes"),
    "long": (GOOD + b"\0", "too long"),
    "no size": (b"\0\0\x0e\x05" + struct.pack(">5I", 0, *[2**32 - 1] * 4), "no array has"),
    "huge": (b"\0\0\x0e\x05" + struct.pack(">5I", *[2**32 - 1] * 5), "too short"),
}


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_files_are_refused_by_name(tmp_path: Path, name: str, compressed: bool) -> None:
    content, message = DAMAGED[name]
    path = tmp_path / "damaged-file"
    path.write_bytes(gzip.compress(content) if compressed else content)
    with pytest.raises(FormatError, match=message) as caught:
        load_idx(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("where", ["cut", "tail cut", "flipped", "checksum", "more", "header"])
def test_damaged_compression_is_refused_by_name(tmp_path: Path, where: str) -> None:
    good = gzip.compress(packed(np.random.default_rng(2).integers(0, 255, 5000, dtype="u1")))
    middle = len(good) // 2
    content = {
        "cut": good[:middle],
        "tail cut": good[:-3],
        "flipped": good[:20] + bytes([good[20] ^ 0xFF] * 40) + good[60:],
        "checksum": good[:-8] + bytes([good[-8] ^ 1]) + good[-7:],
        "more": good + b"more",
        "header": good[:5],
    }[where]
    path = tmp_path / "damaged.gz"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=r"damaged\.gz is"):
        load_idx(path)


@pytest.mark.parametrize("compressed", [False, True])
def test_memory_follows_the_file_not_what_its_header_claims(
    tmp_path: Path, compressed: bool
) -> None:
    content = b"\0\0\x08\x02" + struct.pack(">2I", 2**16, 2**16) + bytes(1000)
    path = tmp_path / "liar"
    path.write_bytes(gzip.compress(content) if compressed else content)
    tracemalloc.start()
    try:
        with pytest.raises(FormatError, match="1000 of the 4294967296 bytes"):
            load_idx(path)
        assert tracemalloc.get_traced_memory()[1] < 4e6
    finally:
        tracemalloc.stop()


def test_a_file_that_holds_far_more_than_its_header_says_is_not_read_to_its_end(
    tmp_path: Path,
) -> None:
    path = tmp_path / "bomb"
    path.write_bytes(gzip.compress(b"\0\0\x08\x01" + struct.pack(">I", 10) + bytes(50_000_000), 1))
    tracemalloc.start()
    try:
        with pytest.raises(FormatError, match="too long"):
            load_idx(path)
        assert tracemalloc.get_traced_memory()[1] < 4e6
    finally:
        tracemalloc.stop()


def test_rows_of_files_make_a_dataset(tmp_path: Path) -> None:
    for name, array in {"x": np.arange(6).reshape(3, 2), "y": np.arange(3), "z": [1]}.items():
        (tmp_path / name).write_bytes(packed(np.asarray(array).astype("u1")))
    data = Dataset.from_idx(tmp_path / "x", tmp_path / "y")
    x, y = next(iter(data.batch(2)))
    assert (x.tolist(), y.tolist()) == ([[0, 1], [2, 3]], [0, 1])
    assert len(Dataset.from_idx(tmp_path / "x")) == 3
    with pytest.raises(ShapeError):
        Dataset.from_idx(tmp_path / "x", tmp_path / "z")


NAMES = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
]


def write_mnist(folder: Path) -> None:
    for name, shape in zip(NAMES, [(3, 4, 4), (3,), (2, 4, 4), (2,)]):
        array = np.full(shape, len(shape), "u1")
        if "images" in name:
            (folder / name).write_bytes(packed(array))
        else:
            (folder / f"{name}.gz").write_bytes(gzip.compress(packed(array)))


def test_the_files_of_mnist_are_found_plain_and_compressed(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    (train_x, train_y), (test_x, test_y) = load_mnist(tmp_path)
    assert [a.shape for a in (train_x, train_y, test_x, test_y)] == [
        (3, 4, 4),
        (3,),
        (2, 4, 4),
        (2,),
    ]
    assert {a.dtype for a in (train_x, train_y, test_x, test_y)} == {np.dtype("u1")}


@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_mnist_that_is_missing_is_named(tmp_path: Path, name: str) -> None:
    write_mnist(tmp_path)
    for place in tmp_path.glob(f"{name}*"):
        place.unlink()
    with pytest.raises(FileNotFoundError, match=rf"neither {name} nor {name}\.gz"):
        load_mnist(tmp_path)


def test_files_of_mnist_that_do_not_go_together_are_refused(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    labels = tmp_path / NAMES[1]
    labels.write_bytes(packed(np.zeros(4, "u1")))
    with pytest.raises(FormatError, match=r"has 3 images, but .* has 4 labels"):
        load_mnist(str(tmp_path))
    labels.write_bytes(packed(np.zeros((3, 1), "u1")))
    with pytest.raises(FormatError, match="2 axes where MNIST has 1"):
        load_mnist(tmp_path)
