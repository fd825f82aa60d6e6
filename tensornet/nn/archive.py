"""Named arrays and a description in one file: npz, or safetensors.

A file is written beside its place and then moved into it. Reading never unpickles, and trusts no
size: headers are compared with the lengths in the file before anything is allocated, so it takes
no more memory than the file has bytes.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np

from ..arrays import Array
from ..errors import CheckpointError
from ..files import replacing

__all__ = ["read", "write"]

ABOUT = "about"  # the entry with the description; names of arrays have a slash
FORMAT = "tensornet-model 1"


def write(
    path: str | os.PathLike[str], arrays: Mapping[str, Array], about: Mapping[str, Any]
) -> None:
    """Write arrays, and a description of what JSON holds; `path` ends in .npz or .safetensors.

    Raises:
        ValueError: another suffix.
        ImportError: safetensors is not installed.
        OSError: the folder cannot be written to; a file that was there is as it was.
    """
    text = json.dumps({**about, "format": FORMAT})
    if _is_safetensors(path):
        save = _safetensors().numpy.save_file
        # ascontiguousarray makes of a number an array with an axis
        whole = {k: np.ascontiguousarray(each).reshape(each.shape) for k, each in arrays.items()}
        with replacing(path) as draft:
            save(whole, draft, metadata={ABOUT: text})
        return
    described: dict[str, Any] = {ABOUT: np.frombuffer(text.encode(), np.uint8), **arrays}
    with replacing(path) as draft, open(draft, "wb") as file:
        np.savez(file, **described)


def read(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Array]]:
    """The description and the arrays in a file that `write` has written.

    Raises:
        CheckpointError: a file that is damaged, or something else; names it.
        ValueError: another suffix.
        ImportError: safetensors is not installed.
        OSError: a file that cannot be read.
    """
    safe = _safetensors() if _is_safetensors(path) else None
    with open(path, "rb") as file:
        try:
            text, arrays = _read_npz(file) if safe is None else _read_safetensors(safe, path)
            about = json.loads(text)
            if about["format"] != FORMAT:
                raise ValueError(f"it is not of the format {FORMAT!r}")
        except MemoryError:
            raise
        except Exception as error:  # hardly one that flipped bits of an archive do not cause
            name = os.fspath(path)
            raise CheckpointError(f"{name} is damaged or no checkpoint: {error}") from error
    return about, arrays


def _is_safetensors(path: str | os.PathLike[str]) -> bool:
    suffix = Path(path).suffix
    if suffix not in (".npz", ".safetensors"):
        raise ValueError(f"{os.fspath(path)!r} ends in neither .npz nor .safetensors")
    return suffix == ".safetensors"


def _safetensors() -> Any:
    try:
        import safetensors.numpy
    except ImportError as error:
        raise ImportError(
            ".safetensors files need safetensors: pip install 'tensornet[safetensors]'"
        ) from error
    return safetensors


def _read_safetensors(
    safetensors: Any, path: str | os.PathLike[str]
) -> tuple[str, dict[str, Array]]:
    with safetensors.safe_open(path, framework="numpy") as source:
        return source.metadata()[ABOUT], {name: source.get_tensor(name) for name in source.keys()}  # noqa: SIM118


def _read_npz(file: IO[bytes]) -> tuple[str, dict[str, Array]]:
    """Arrays that are as long as they say, and not compressed."""
    arrays = {}
    with zipfile.ZipFile(file) as packed:
        entries = packed.infolist()
        if sum(entry.file_size for entry in entries) > os.fstat(file.fileno()).st_size:
            raise ValueError("its entries are longer than the file")
        for entry in entries:
            if entry.compress_type != zipfile.ZIP_STORED:
                raise ValueError(f"{entry.filename} is compressed")
            with packed.open(entry) as inner:
                _check_header(inner, entry.file_size)
        for entry in entries:
            with packed.open(entry) as inner:
                name = entry.filename.removesuffix(".npy")
                arrays[name] = np.lib.format.read_array(inner, allow_pickle=False)
    return bytes(arrays.pop(ABOUT)).decode(), arrays


def _check_header(file: IO[bytes], size: int) -> None:
    """Complain of an npy file that is not as long as its header says, or has to be unpickled."""
    major, _ = np.lib.format.read_magic(file)
    read_header = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}
    shape, _, dtype = read_header[major](file)
    wanted = prod(shape) * dtype.itemsize
    if dtype.hasobject or min((*shape, 0)) < 0 or wanted != size - file.tell():
        raise ValueError(f"an array of shape {shape} and dtype {dtype} does not take {size} bytes")
