"""Arrays as plain data that JSON can hold, exact to the bit.

    {"dtype": "float64", "shape": [2, 3], "data": "AAAAAAAA8D8..."}

`data` is base64 (RFC 4648) of the entries in C order, little-endian. NumPy's .npy format as
latin-1 text, which google/TensorNetwork writes, is read too, and never unpickled.
"""

from __future__ import annotations

import binascii
import io
from base64 import b64decode, b64encode
from math import prod
from typing import Any

import numpy as np

from ..arrays import SUPPORTED_DTYPES, check_dtype
from ..errors import FormatError
from .checks import Array

__all__ = ["DTYPES", "MAX_EXTENT", "MAX_RANK", "checked_bool", "decode_array", "encode_array"]

DTYPES = {dtype.name: dtype for dtype in SUPPORTED_DTYPES}
MAX_RANK = 64
MAX_EXTENT = 2**62

_NPY_MAGIC = "\x93NUMPY"


def encode_array(array: Array) -> dict[str, Any]:
    """The array as plain data.

    Raises:
        TypeError: a dtype without kernels, such as that of objects.

    >>> encode_array(np.array([[True], [False]]))
    {'dtype': 'bool', 'shape': [2, 1], 'data': 'AQA='}
    """
    dtype = check_dtype(array.dtype)
    little = np.asarray(array, dtype.newbyteorder("<"), order="C")
    return {
        "dtype": dtype.name,
        "shape": list(array.shape),
        "data": b64encode(little.tobytes()).decode("ascii"),
    }


def decode_array(saved: Any) -> Array:
    """The array that `encode_array` described, or that .npy text holds.

    No more memory is taken than a few times the length of the data, whatever they promise.

    Raises:
        FormatError: data that describe no array; says which field is wrong, and how.

    >>> decode_array({"dtype": "bool", "shape": [2, 1], "data": "AQA="}).tolist()
    [[True], [False]]
    """
    if isinstance(saved, str):
        return _decode_npy(saved)
    if not isinstance(saved, dict):
        raise FormatError(f"a tensor is an object with dtype, shape and data, not {_kind(saved)}")
    for field in ("dtype", "shape", "data"):
        if field not in saved:
            raise FormatError(f"the field {field!r} of the tensor is missing")
    name, data = saved["dtype"], saved["data"]
    dtype = DTYPES.get(name) if isinstance(name, str) else None
    if dtype is None:
        raise FormatError(f"dtype {str(name)[:40]!r} is none of {', '.join(DTYPES)}")
    shape = _shape(saved["shape"])
    if not isinstance(data, str):
        raise FormatError(f"data must be base64 text, not {_kind(data)}")
    size = prod(shape) * dtype.itemsize
    if len(data) != 4 * -(-size // 3):
        raise FormatError(
            f"shape {shape} and dtype {dtype} take {size} bytes, which {len(data)} letters of "
            "base64 do not hold"
        )
    try:
        raw = b64decode(data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise FormatError(f"data is not base64: {error}") from None
    return _from_bytes(raw, dtype.newbyteorder("<"), shape, "C")


def checked_bool(array: Array) -> Array:
    """The array itself, whose entries are 0 or 1 if they are bool.

    Raises:
        FormatError: another byte, with which NumPy's results would not be defined.
    """
    if array.dtype == np.bool_ and (array.view(np.uint8) > 1).any():
        raise FormatError("an entry of dtype bool is neither 0 nor 1")
    return array


def _from_bytes(raw: bytes, dtype: np.dtype[Any], shape: tuple[int, ...], order: Any) -> Array:
    if len(raw) != prod(shape) * dtype.itemsize:
        raise FormatError(f"{len(raw)} bytes are not a tensor of shape {shape} and dtype {dtype}")
    flat: Array = np.frombuffer(raw, dtype).astype(dtype.newbyteorder("="))  # one that is ours
    try:
        return checked_bool(flat).reshape(shape, order=order)
    except ValueError as error:  # extents beyond 2**63 around one of 0
        raise FormatError(f"shape {shape} is impossible: {error}") from None


def _shape(saved: object) -> tuple[int, ...]:
    if not isinstance(saved, list) or len(saved) > MAX_RANK:
        raise FormatError(f"shape must be a list of at most {MAX_RANK} extents")
    for extent in saved:
        if type(extent) is not int or not 0 <= extent <= MAX_EXTENT:
            raise FormatError(f"extent {str(extent)[:40]!r} is no whole number from 0 to 2**62")
    return tuple(saved)


def _kind(value: object) -> str:
    return "null" if value is None else type(value).__name__


def _decode_npy(text: str) -> Array:
    if not text.startswith(_NPY_MAGIC):
        raise FormatError(
            "the tensor is neither an object with dtype, shape and data nor text of the .npy "
            "format; if another backend of google/TensorNetwork wrote it, load it there, switch "
            "its nodes to backend 'numpy' and save them again"
        )
    try:
        data = text.encode("latin-1")
        buffer = io.BytesIO(data)
        old = np.lib.format.read_magic(buffer) == (1, 0)
        read = np.lib.format.read_array_header_1_0 if old else np.lib.format.read_array_header_2_0
        shape, fortran_order, dtype = read(buffer)
        check_dtype(dtype)
        shape = _shape(list(shape))
    except FormatError:
        raise
    except Exception as error:  # NumPy evaluates the header as a literal, which fails in many ways
        raise FormatError(f"not the .npy format: {str(error)[:200]}") from None
    order = "F" if fortran_order else "C"
    return _from_bytes(data[buffer.tell() :], dtype, shape, order)
