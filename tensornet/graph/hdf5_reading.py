"""Reading HDF5 files that may be hostile, and the layout that google/TensorNetwork gives them."""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple

import numpy as np

from ..arrays import check_dtype
from .checks import Array
from .document import Document, Fields
from .encoding import MAX_RANK, checked_bool

__all__ = ["Group", "Reader", "read_theirs"]

_POINTER = 16  # bytes in a dataset that stand for a word of any length elsewhere in the file


class Group(NamedTuple):
    """A group of an open file, and its name in messages."""

    group: Any
    field: str

    def __contains__(self, name: object) -> bool:
        return bool(self.group.id.links.exists(str(name).encode()))

    def called(self, name: str) -> str:
        """What the member `name` is called in messages."""
        return f"{self.field}{name}"


class Reader:
    """Opens what is in a file, and reads no more bytes in all than the file has.

    h5py's own way to open a name would follow links to other files.
    """

    def __init__(self, h5py: Any, fields: Fields, size: int) -> None:
        self.fields = fields
        self._h5py = h5py
        self._left = size

    def root(self, file: Any) -> Group:
        """The group at the top."""
        return Group(file, "/")

    def group(self, owner: Group, name: str) -> Group:
        """A group within another."""
        self._check_link(owner, name)
        opened = owner.group[name]
        if not isinstance(opened, self._h5py.Group):
            self.fields.fail(owner.called(name), "expected a group")
        return Group(opened, f"{owner.called(name)}/")

    def array(self, owner: Group, name: str) -> Array:
        """The array that a dataset of a group holds, in native byte order."""
        dataset, field = self._dataset(owner, name), owner.called(name)
        try:
            dtype = check_dtype(dataset.dtype)
        except TypeError as error:
            self.fields.fail(field, str(error))
        self._take(prod(dataset.shape) * dtype.itemsize, dataset.get_storage_size(), field)
        array: Array = np.empty(dataset.shape, dtype)
        if array.size:
            dataset.read(self._h5py.h5s.ALL, self._h5py.h5s.ALL, array)
        return checked_bool(array)

    def texts(self, owner: Group, name: str) -> list[str]:
        """The words that a dataset of one axis holds; or the only one."""
        dataset = self._h5py.Dataset(self._dataset(owner, name))
        field = owner.called(name)
        if self._h5py.check_string_dtype(dataset.dtype) is None or len(dataset.shape) > 1:
            self.fields.fail(field, "expected text")
        size = _POINTER if dataset.dtype.kind == "O" else dataset.dtype.itemsize
        self._take(prod(dataset.shape) * size, dataset.id.get_storage_size(), field)
        # one by one: any number of them may share the same long word in the file
        places = range(dataset.shape[0]) if dataset.shape else [()]
        return [self._text(dataset[place], field) for place in places]

    def text(self, owner: Group, name: str) -> str:
        """The word that a dataset without axes holds."""
        words = self.texts(owner, name)
        if len(words) != 1:
            self.fields.fail(owner.called(name), "expected one word")
        return words[0]

    def whole(self, owner: Group, name: str) -> int:
        """The whole number that a dataset without axes holds."""
        array = self.array(owner, name)
        if array.ndim or array.dtype.kind not in "iu":
            self.fields.fail(owner.called(name), "expected a whole number")
        return int(array)

    def _check_link(self, owner: Group, name: str) -> None:
        """Raise unless the group has a member of this name in this file."""
        field = owner.called(name)
        if name not in owner:
            self.fields.fail(field, "is missing")
        if owner.group.id.links.get_info(name.encode()).type != self._h5py.h5l.TYPE_HARD:
            self.fields.fail(field, "is a link to elsewhere, which is not followed")

    def _dataset(self, owner: Group, name: str) -> Any:
        """The id of a dataset whose data lie in this file in one piece, as they are."""
        self._check_link(owner, name)
        field, h5d, h5s = owner.called(name), self._h5py.h5d, self._h5py.h5s
        try:
            dataset = h5d.open(owner.group.id, name.encode())
        except (KeyError, TypeError):
            self.fields.fail(field, "expected a dataset")
        if dataset.get_space().get_simple_extent_type() == h5s.NULL:
            self.fields.fail(field, "expected a dataset with data")
        stored = dataset.get_create_plist()
        if stored.get_layout() not in (h5d.CONTIGUOUS, h5d.COMPACT) or stored.get_external_count():
            self.fields.fail(
                field, "is chunked, compressed, virtual or in another file; it must be contiguous"
            )
        if len(dataset.shape) > MAX_RANK:
            self.fields.fail(field, f"has {len(dataset.shape)} axes, more than {MAX_RANK}")
        return dataset

    def _take(self, needed: int, stored: int | None, field: str) -> None:
        """Allow for so many bytes of memory if the file can have them."""
        if stored is not None and stored != needed:
            self.fields.fail(field, f"claims {needed} bytes but stores {stored}")
        if needed > self._left:
            self.fields.fail(field, "claims more data than the file is long")
        self._left -= needed

    def _text(self, value: Any, field: str) -> str:
        if not isinstance(value, bytes):
            self.fields.fail(field, "expected text")
        self._take(len(value), None, field)
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            self.fields.fail(field, "expected UTF-8 text")


def read_theirs(reader: Reader, root: Group) -> Document:
    """The document of a file of google/TensorNetwork 0.4.6.

    Nodes and edges are groups "node3" and "edge5" there, and lists of text hold their names in
    the order of these numbers.
    """
    nodes, edges = reader.group(root, "nodes"), reader.group(root, "edges")
    node_names = reader.texts(reader.group(root, "node_names"), "names")
    edge_names = reader.texts(reader.group(root, "edge_names"), "names")
    for group, names in ((nodes, node_names), (edges, edge_names)):
        count = group.group.id.get_num_objs()
        if count > len(names):
            reader.fields.fail(group.field, f"holds {count} members, expected {len(names)}")
    ids = {f"node{k}": k for k in range(len(node_names))}
    return {
        "nodes": [
            _node_row(reader, reader.group(nodes, f"node{k}"), k, name)
            for k, name in enumerate(node_names)
        ],
        "edges": [
            _edge_row(reader, reader.group(edges, f"edge{k}"), k, name, ids)
            for k, name in enumerate(edge_names)
        ],
    }


def _node_row(reader: Reader, node: Group, k: int, name: str) -> Document:
    kind = reader.text(node, "type")
    shape = reader.array(node, "shape")
    if shape.ndim != 1:
        reader.fields.fail(node.called("shape"), "expected a list of extents")
    # a node without axes has a number in the place of the names
    names = reader.texts(node, "axis_names") if len(shape) else []
    attributes: Document = {"name": name, "axis_names": names}
    if kind == "CopyNode":
        if len({*shape.tolist()}) > 1:
            reader.fields.fail(node.called("shape"), "the axes of a copy node have one extent")
        dimension = int(shape[0]) if len(shape) else 1
        dtype = reader.text(node, "copy_node_dtype")
        attributes |= {"rank": len(shape), "dimension": dimension, "dtype": dtype}
    else:
        attributes["tensor"] = reader.array(node, "tensor")
    return {"id": k, "type": kind, "attributes": attributes}


def _edge_row(reader: Reader, edge: Group, k: int, name: str, ids: dict[str, int]) -> Document:
    ends = [1, 2] if "node2" in edge else [1]
    words = [reader.text(edge, f"node{end}") for end in ends]
    for word in words:
        if word not in ids:
            reader.fields.fail(edge.field, f"{word[:40]!r} is none of the nodes")
    node_ids = [*[ids[word] for word in words], None][:2]
    axes = [*[reader.whole(edge, f"axis{end}") for end in ends], None][:2]
    return {"id": k, "node_ids": node_ids, "attributes": {"name": name, "axes": axes}}
