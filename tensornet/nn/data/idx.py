"""IDX files: the format of MNIST and its kin, plain or compressed by gzip.

A file is four bytes (two zeros, a code of the dtype, the number of axes), the extents as big-endian
32-bit numbers, and the entries in C order, big-endian (http://yann.lecun.com/exdb/mnist/).
"""

from __future__ import annotations

import gzip
import os
import struct
import zlib
from io import BufferedIOBase
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from ...arrays import Array
from ...errors import FormatError

__all__ = ["load_idx", "load_mnist"]

DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
MAX_AXES = 32  # of an array in every version of NumPy
PIECE = 1 << 20
MNIST = {"train": "train-{}-ubyte", "test": "t10k-{}-ubyte"}


def load_idx(path: str | os.PathLike[str]) -> Array:
    """The array in an IDX file, compressed by gzip or not, whatever its name ends in.

    Memory grows with the entries that are really there, to at most twice as much, whatever the
    header says; a plain file that is too short for its header is refused before it is read.

    Args:
        path: the file.

    Returns:
        an array of the shape in the file and, in native byte order, the dtype there: uint8, int8,
        int16, int32, float32 or float64.

    Raises:
        FormatError: no IDX file, or one that is damaged, too short or too long; names the file.
        OSError: a file that cannot be read.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "labels-idx1-ubyte")
    ...     _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]))
    ...     load_idx(path)
    array([7, 2, 1], dtype=uint8)
    """
    size = os.stat(path).st_size
    with open(path, "rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        try:
            if not compressed:
                return _read(file, path, size)
            with gzip.GzipFile(fileobj=file) as inner:
                return _read(inner, path, None)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise FormatError(f"{path} is damaged or not complete: {error}") from None


def _read(file: BufferedIOBase, path: str | os.PathLike[str], size: int | None) -> Array:
    """The array in a file of `size` bytes, or of a number that only reading tells."""
    dtype, shape = _header(file, path)
    what = f"an array of shape {shape} and dtype {dtype.name}"
    wanted = prod(shape) * dtype.itemsize
    there = wanted if size is None else size - file.tell()
    entries = _content(file, wanted) if there >= wanted else None
    if entries is None or len(entries) < wanted:
        have = there if entries is None else len(entries)
        raise FormatError(f"{path} is too short: it has {have} of the {wanted} bytes of {what}")
    if file.read(1):
        raise FormatError(f"{path} is too long: there is more in it than the {wanted} of {what}")
    try:
        array = entries.view(dtype).reshape(shape)
    except ValueError:  # an axis of extent 0 beside others whose product is no size
        raise FormatError(f"{path} has a shape that no array has, {shape}") from None
    if not dtype.isnative:
        array = array.byteswap(inplace=True).view(dtype.newbyteorder("="))
    return array


def _content(file: BufferedIOBase, wanted: int) -> Array:
    """At most so many bytes, in memory that grows with what is really there."""
    content = np.empty(min(wanted, PIECE), np.uint8)
    filled = 0
    while count := file.readinto(content[filled : filled + PIECE].data):
        filled += count
        if filled == len(content):
            content.resize(min(wanted, 2 * filled), refcheck=False)
    return content[:filled]


def _header(
    file: BufferedIOBase, path: str | os.PathLike[str]
) -> tuple[np.dtype[Any], tuple[int, ...]]:
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in DTYPES:
        raise FormatError(
            f"{path} is no IDX file: it begins with {magic.hex(' ') or 'nothing'}, not with 00 00, "
            f"a dtype of {', '.join(f'{code:02x}' for code in DTYPES)}, and the number of axes"
        )
    axes = magic[3]
    if axes > MAX_AXES:
        raise FormatError(f"{path} has {axes} axes, and an array at most {MAX_AXES}")
    extents = file.read(4 * axes)
    if len(extents) < 4 * axes:
        raise FormatError(f"{path} is too short: it ends before the extents of its {axes} axes")
    return np.dtype(DTYPES[magic[2]]), struct.unpack(f">{axes}I", extents)


def load_mnist(
    folder: str | os.PathLike[str],
) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """The four files of MNIST, or of a data set in its form such as Fashion-MNIST.

    They are ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte`` and the same with ``t10k``,
    each as it is or with ``.gz`` at the end. It is the ``load_data()`` of Keras for a folder.

    Returns:
        ``(train_images, train_labels), (test_images, test_labels)``: uint8 arrays of shapes
        (60000, 28, 28) and (60000,), then (10000, 28, 28) and (10000,).

    Raises:
        FileNotFoundError: says which file is missing, and where MNIST is.
        FormatError: a damaged file, or images and labels that differ in number.
    """
    train, test = (_images_and_labels(Path(folder), name) for name in MNIST.values())
    return train, test


def _images_and_labels(folder: Path, name: str) -> tuple[Array, Array]:
    paths = [_found(folder / name.format(kind)) for kind in ("images-idx3", "labels-idx1")]
    images, labels = (load_idx(path) for path in paths)
    for path, array, axes in zip(paths, (images, labels), (3, 1)):
        if array.ndim != axes:
            raise FormatError(f"{path} has {array.ndim} axes where MNIST has {axes}")
    if len(images) != len(labels):
        raise FormatError(
            f"{paths[0]} has {len(images)} images, but {paths[1]} has {len(labels)} labels"
        )
    return images, labels


def _found(path: Path) -> Path:
    packed = path.with_name(path.name + ".gz")
    for place in (path, packed):
        if place.exists():
            return place
    raise FileNotFoundError(
        f"{path.parent} has neither {path.name} nor {packed.name}; the four files of MNIST are at "
        "https://ossci-datasets.s3.amazonaws.com/mnist/"
    )
