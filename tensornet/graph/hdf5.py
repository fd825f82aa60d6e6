"""Networks in HDF5 files, with h5py (the extra `hdf5`).

    /network      uint8 (length): the JSON text of `document`, without the tensors
    /tensors/K    the array of node K, for each node that has one

All data lie in one piece, uncompressed, within the file. That is asked of files that are read,
too, so that what they claim can be held against their size before memory is taken for it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from shutil import copyfileobj
from tempfile import TemporaryFile
from typing import IO, Any

import numpy as np

from ..errors import FormatError
from ..files import replacing
from ..formats.text import Text, parse_json
from .abstract import AbstractNode
from .copynode import CopyNode
from .document import Document, Fields, build, check_unique, describe
from .hdf5_reading import Group, Reader, read_theirs
from .queries import reachable

__all__ = ["load_nodes", "save_nodes"]


def save_nodes(nodes: Iterable[AbstractNode], path: str | os.PathLike[str] | IO[bytes]) -> None:
    """Write nodes, their tensors and edges to an HDF5 file, which is there whole or not at all.

    Args:
        nodes: the nodes, each once; all that they are connected to must be among them, but
            for hyperedges, which follow them.
        path: a path, or a file that is open for writing bytes.

    Raises:
        ValueError: an edge to a node outside, or what `nodes_to_json` refuses.
        TypeError: not nodes, or a dtype without kernels.
        ImportError: h5py is not installed.
        OSError: the file cannot be written.
    """
    h5py = _h5py()
    places = check_unique(nodes)
    if places:
        outside = reachable(places) - places.keys()
        if outside:
            name = min(outside).name
            raise ValueError(
                f"the nodes are connected to {len(outside)} nodes that are not given, such as "
                f"{name!r}; give all of them, disconnect, or use nodes_to_json, which cuts edges"
            )
    document = describe(places, lambda node: None)
    tensors = {k: node for node, k in places.items() if not isinstance(node, CopyNode)}
    if isinstance(path, (str, os.PathLike)):
        with replacing(path) as draft:
            _write(h5py, os.fspath(draft), document, tensors)
    else:
        with TemporaryFile() as file:  # h5py needs to read and to seek
            _write(h5py, file, document, tensors)
            file.seek(0)
            copyfileobj(file, path)


def _write(h5py: Any, target: Any, document: Document, tensors: dict[int, AbstractNode]) -> None:
    with h5py.File(target, "w") as file:
        file["network"] = np.frombuffer(json.dumps(document).encode("ascii"), np.uint8)
        group = file.create_group("tensors")
        for k, node in tensors.items():
            array = node.get_tensor()
            group[str(k)] = np.asarray(array, array.dtype.newbyteorder("<"))


def load_nodes(path: str | os.PathLike[str] | IO[bytes]) -> list[AbstractNode]:
    """Read the nodes that `save_nodes` wrote, here or in google/TensorNetwork 0.4.6, in order.

    The file may come from an untrusted place: links to other files are not followed, filters and
    chunks are refused, and what it holds is checked before memory is taken, of which there is
    never more than a few times the size of the file (some tens of times that of its names). All
    this is as safe as the HDF5 library that parses what lies below: text of variable length, of
    which google/TensorNetwork's files are full, can be damaged so that it never comes to an end.

    Args:
        path: a path, or a file that is open for reading bytes and can seek.

    Raises:
        FormatError: not such a file, or damaged; names file, field and reason.
        ImportError: h5py is not installed.
        OSError: the file cannot be opened.
    """
    h5py = _h5py()
    if isinstance(path, (str, os.PathLike)):
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
        return _load(h5py, os.fspath(path), os.fspath(path), size)
    size = path.seek(0, os.SEEK_END)
    path.seek(0)
    return _load(h5py, path, str(getattr(path, "name", "<file>")), size)


def _load(h5py: Any, source: Any, name: str, size: int) -> list[AbstractNode]:
    fields = Fields(name)
    try:
        with h5py.File(source, "r") as file:
            reader = Reader(h5py, fields, size)
            root = reader.root(file)
            document = (read_theirs if "nodes" in root else _read_ours)(reader, root)
    except FormatError:
        raise
    except (OSError, RuntimeError, LookupError, ValueError, TypeError, OverflowError) as error:
        fields.fail("HDF5", str(error).partition("\n")[0][:300])  # whatever h5py finds wrong
    return build(document, fields)[0]


def _read_ours(reader: Reader, root: Group) -> Document:
    fields = reader.fields
    data = reader.array(root, "network")
    if data.dtype != np.uint8 or data.ndim != 1:
        fields.fail("network", "expected the bytes of a JSON text")
    source = f"{fields.source}: network"
    try:
        document: Document = parse_json(Text(source, data.tobytes().decode("ascii")))
    except UnicodeDecodeError:
        fields.fail("network", "expected the bytes of a JSON text")
    rows = fields.rows(document, "nodes")
    tensors = reader.group(root, "tensors")
    for k, row in enumerate(rows):
        attributes = fields.get(row, f"nodes[{k}]", "attributes", dict)
        if row.get("type") == "Node":
            attributes["tensor"] = reader.array(tensors, str(k))
    if document.get("format") is None:
        fields.fail("network.format", "is missing")
    return document


def _h5py() -> Any:
    try:
        import h5py
    except ImportError as error:
        raise ImportError("HDF5 files need h5py: pip install 'tensornet[hdf5]'") from error
    return h5py
