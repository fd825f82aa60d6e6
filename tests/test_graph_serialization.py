"""Networks come back as they were written; whatever else is read is refused."""

from __future__ import annotations

import io
import json
import random
import tracemalloc
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from graph_files import mutated, network, structure, survives
from graph_state import fails, make, names_of, picture

import tensornet as tn
from tensornet.arrays import SUPPORTED_DTYPES
from tensornet.errors import FormatError
from tensornet.graph.encoding import decode_array, encode_array

h5py = pytest.importorskip("h5py", reason="HDF5 files need the extra `hdf5`")

Way = Callable[[Sequence[tn.AbstractNode]], list[tn.AbstractNode]]


def through_json(nodes: Sequence[tn.AbstractNode]) -> list[tn.AbstractNode]:
    return tn.nodes_from_json(tn.nodes_to_json(nodes))[0]


def through_hdf5(nodes: Sequence[tn.AbstractNode]) -> list[tn.AbstractNode]:
    file = io.BytesIO()
    tn.save_nodes(nodes, file)
    file.seek(0)
    return tn.load_nodes(file)


DATA = Path(__file__).with_name("data")

both_ways = pytest.mark.parametrize("way", [through_json, through_hdf5])


@both_ways
def test_a_network_comes_back_with_all_names_edges_and_values(way: Way) -> None:
    nodes = network()
    before = picture(nodes)
    twins = way(nodes)
    assert picture(nodes) == before
    assert structure(twins) == structure(nodes)
    tn.check_correct(twins, check_connections=False)
    for node, twin in zip(nodes, twins):
        np.testing.assert_array_equal(twin.tensor, node.tensor)
    results = [
        tn.contractors.auto(
            [*some[:3], some[4]],
            output_edge_order=some[0].get_all_dangling()
            + some[1].get_all_dangling()
            + some[4].get_all_dangling(),
        ).tensor
        for some in (nodes, twins)
    ]
    np.testing.assert_array_equal(*results)


@both_ways
def test_what_comes_back_can_be_changed(way: Way) -> None:
    (twin,) = way([make(2, 2)])
    assert isinstance(twin, tn.Node)
    twin.tensor[0, 0] = 7.0
    assert twin.tensor[0, 0] == 7.0
    scalar = way([tn.Node(3.0)])[0]
    scalar.tensor[...] = 4.0
    assert scalar.tensor == 4.0


@both_ways
@pytest.mark.parametrize("shape", [(), (1,), (3,), (0,), (2, 0, 3), (2, 3, 4), (1,) * 31], ids=str)
@pytest.mark.parametrize("dtype", SUPPORTED_DTYPES, ids=str)
def test_every_dtype_and_shape_is_exact(way: Way, dtype: np.dtype[Any], shape: Any) -> None:
    count = int(np.prod(shape, dtype=int))
    raw = np.random.default_rng(1).integers(0, 256, count * dtype.itemsize, dtype=np.uint8)
    if dtype == np.bool_:
        raw &= 1
    array = raw.view(dtype).reshape(shape)  # any bits, some of which are NaN with a payload
    (twin,) = way([tn.Node(array)])
    assert (twin.dtype, twin.shape) == (dtype, shape)
    assert twin.tensor.tobytes() == array.tobytes()


@both_ways
def test_layouts_and_byte_orders_make_no_difference(way: Way) -> None:
    array = np.arange(24, dtype=">c8").reshape(2, 3, 4) * (1 + 2j)
    nodes = [
        tn.Node(array),
        tn.Node(np.asfortranarray(array)),
        tn.Node(array.transpose(2, 0, 1)),
        tn.Node(array[::-1, ::2, 1:]),
        tn.Node(np.broadcast_to(np.float32(2), (3, 3))),
    ]
    for node, twin in zip(nodes, way(nodes)):
        np.testing.assert_array_equal(twin.tensor, node.tensor)
        assert twin.dtype.isnative


@both_ways
def test_copy_nodes_stay_copy_nodes_of_any_rank(way: Way) -> None:
    nodes = [tn.CopyNode(rank, 1000, dtype=np.int8) for rank in (0, 1, 40, 200)]
    twins = way(nodes)
    assert structure(twins) == structure(nodes)
    assert all(type(twin) is tn.CopyNode and twin._tensor is None for twin in twins)


@both_ways
def test_no_nodes_make_an_empty_network(way: Way) -> None:
    assert way([]) == []


@both_ways
def test_thousands_of_nodes_come_back_in_order(way: Way) -> None:
    nodes = [make(2, 2, name=f"n{k}") for k in range(600)]
    for left, right in pairwise(nodes):
        left[1] ^ right[0]
    assert structure(way(nodes)) == structure(nodes)


@both_ways
def test_names_may_be_any_text(way: Way) -> None:
    names = ["", "naïve ∑", "\0\n\t", '"quoted\\"', "\ud800", "a/b", "__x__"]
    nodes = [make(2, name=name, axis_names=[name]) for name in names]
    assert structure(way(nodes)) == structure(nodes)


@both_ways
def test_contracted_nodes_have_fresh_edges_and_disabled_ones_are_refused(way: Way) -> None:
    a, b = make(2, 3, name="a"), make(3, name="b")
    a[1] ^ b[0]
    result = a @ b
    assert structure(way([a, b, result])) == structure([a, b, result])
    a.disable()
    with pytest.raises(ValueError, match="node 'a' has been disabled"):
        way([a])


@both_ways
def test_a_failed_write_says_why_and_changes_nothing(way: Way) -> None:
    a, b = make(2, 2, name="a"), make(2, name="b")
    with fails(ValueError, "node 'a' is given more than once", a, b):
        way([a, b, a])
    with fails(TypeError, "expected nodes, not int", a):
        way([a, 3])  # type: ignore[list-item]
    long = tn.Node(np.ones(2, np.longdouble), name="long")
    with fails(TypeError, "node 'long' cannot be saved: dtype .* is not supported", long):
        way([long])
    wrong = tn.Edge(a, 0)
    b.add_edge(wrong, 0)
    with pytest.raises(ValueError, match="does not end there"):
        way([a, b])


@both_ways
def test_hyperedges_follow_the_nodes_and_need_not_be_given(way: Way) -> None:
    a, b, c = make(2, 3, name="a"), make(3, name="b"), make(3, name="c")
    hub = tn.hyperedge([a[1], b[0], c[0]], name="i")
    twins = way([a, b, c])
    assert structure(twins) == structure([a, b, c, hub])
    assert structure(way([c, hub, a, b])) == structure([c, hub, a, b])
    assert type(twins[3]) is type(hub)
    np.testing.assert_array_equal(
        tn.contractors.auto(twins[:3]).tensor, tn.contractors.auto([a, b, c]).tensor
    )


@both_ways
def test_hyperedges_with_one_end_each_on_the_nodes_follow_them(way: Way) -> None:
    a, b = make(3, name="a"), make(3, name="b")
    first = tn.hyperedge([a[0]], dangling=True)
    second = tn.hyperedge([b[0], first[-1]])
    twins = way([a, b])
    assert structure(twins) == structure([a, b, first, second])
    np.testing.assert_array_equal(
        tn.contractors.auto(twins[:2]).tensor, tn.contractors.auto([a, b]).tensor
    )


def test_labels_of_the_ends_of_hyperedges_are_kept_after_a_contraction() -> None:
    a, b, c = make(2, 2, name="a"), make(2, name="b"), make(2, name="c")
    first = tn.hyperedge([a[0], a[1]], dangling=True)
    second = tn.hyperedge([first[-1], b[0], c[0]], dangling=True)
    r = tn.contract_between(a, b)
    (x, y, *_), bound = tn.nodes_from_json(tn.nodes_to_json([r, c], {"open": second[-1]}))
    got = tn.contractors.auto([x, y], output_edge_order=bound["open"])
    want = tn.contractors.auto([r, c], output_edge_order=[second[-1]])
    np.testing.assert_array_equal(got.tensor, want.tensor)


def test_nodes_of_other_classes_are_saved_as_plain_ones() -> None:
    class Named(tn.Node):
        pass

    assert type(through_json([Named([1, 2])])[0]) is tn.Node


# JSON


def test_the_document_is_what_its_schema_says() -> None:
    a = tn.Node(np.array([[True], [False]]), name="a", axis_names=["x", "y"])
    hub = tn.CopyNode(2, 1, name="hub", dtype=np.float16)
    tn.connect(a[1], hub[0], "bond")
    assert json.loads(tn.nodes_to_json([a, hub], {"label": a[0]})) == {
        "format": "tensornet-nodes",
        "version": 1,
        "nodes": [
            {
                "id": 0,
                "type": "Node",
                "attributes": {
                    "name": "a",
                    "axis_names": ["x", "y"],
                    "backend": "numpy",
                    "tensor": {"dtype": "bool", "shape": [2, 1], "data": "AQA="},
                },
            },
            {
                "id": 1,
                "type": "CopyNode",
                "attributes": {
                    "name": "hub",
                    "axis_names": ["0", "1"],
                    "backend": "numpy",
                    "rank": 2,
                    "dimension": 1,
                    "dtype": "float16",
                },
            },
        ],
        "edges": [
            {"id": 0, "node_ids": [0, None], "attributes": {"name": "x", "axes": [0, None]}},
            {"id": 1, "node_ids": [0, 1], "attributes": {"name": "bond", "axes": [1, 0]}},
            {
                "id": 2,
                "node_ids": [1, None],
                "attributes": {"name": "__unnamed_edge__", "axes": [1, None]},
            },
        ],
        "edge_binding": {"label": [0]},
    }


def test_bound_edges_come_back_under_their_labels() -> None:
    a, b = make(2, 3, name="a"), make(3, 4, name="b")
    bond = tn.connect(a[1], b[0], "bond")
    outside = make(2)[0]
    binding = {"one": bond, "legs": iter([b[1], a[0]]), "gone": outside, "some": [outside, bond]}
    (a2, b2), bound = tn.nodes_from_json(tn.nodes_to_json([a, b], binding))
    assert bound == {"one": (a2[1],), "legs": (b2[1], a2[0]), "some": (a2[1],)}
    assert tn.nodes_from_json(tn.nodes_to_json([a, b], {"gone": outside}))[1] == {}
    assert tn.nodes_from_json(tn.nodes_to_json([a, b], {}))[1] == {}


@pytest.mark.parametrize(
    "binding", [{1: None}, {"a": 3}, {"a": [3]}, {"a": "text"}, {"a": None}], ids=str
)
def test_other_bindings_are_refused(binding: Any) -> None:
    with pytest.raises(TypeError, match="edge_binding"):
        tn.nodes_to_json([make(2)], binding)


def test_edges_to_nodes_outside_are_cut_in_the_text_only() -> None:
    a, b, c = make(2, 3, name="a"), make(3, 4, name="b"), make(4, name="c")
    tn.connect(a[1], b[0], "left")
    tn.connect(b[1], c[0], "right")
    before = picture([a, b, c])
    (twin,), bound = tn.nodes_from_json(tn.nodes_to_json([b], {"cut": [b[0], b[1]]}))
    assert picture([a, b, c]) == before
    assert names_of(twin.edges) == ["left", "right"]
    assert all(edge.is_dangling() for edge in twin.edges)
    assert bound["cut"] == (twin[0], twin[1])


def test_a_collection_hears_of_nodes_that_were_read_and_of_no_others() -> None:
    text = tn.nodes_to_json(network())
    found: list[tn.AbstractNode] = []
    with tn.NodeCollection(found):
        nodes, _ = tn.nodes_from_json(text)
        with pytest.raises(FormatError):
            tn.nodes_from_json(text.replace('"bond"', "3"))
    assert found == nodes


# What google/TensorNetwork 0.4.6 wrote


def test_json_of_google_tensornetwork_is_read() -> None:
    text = (DATA / "google-tensornetwork.json").read_text()
    (a, b, c), bound = tn.nodes_from_json(text)
    assert [(node.name, node.axis_names) for node in (a, b, c)] == [
        ("a", ["x", "y"]),
        ("b", ["0", "1", "2", "3"]),
        ("c", ["0", "1"]),
    ]
    np.testing.assert_array_equal(a.tensor, np.arange(6.0).reshape(2, 3))
    np.testing.assert_array_equal(b.tensor, np.ones((3, 4, 2, 2)))
    np.testing.assert_array_equal(c.tensor, np.arange(8.0).reshape(4, 2))
    assert (b.dtype, c.tensor.flags.f_contiguous) == (np.complex64, True)
    assert names_of(a.edges) == ["x", "bond"]
    assert (a[1] is b[0], b[1] is c[0], b[2] is b[3]) == (True, True, True)
    assert bound == {"k": (a[1],), "open": (c[1], a[0])}
    tn.check_correct([a, b, c])


def test_an_edge_that_google_tensornetwork_cut_at_its_first_end_is_dangling() -> None:
    document = json.loads(theirs(npy(np.arange(3.0))))
    document["edges"][0] |= {"node_ids": [None, 0], "attributes": {"name": "x", "axes": [None, 0]}}
    (node,), _ = tn.nodes_from_json(json.dumps(document))
    assert node[0].is_dangling()
    assert (node[0].node1, node[0].axis1) == (node, 0)


def theirs(tensor: str, backend: str = "numpy") -> str:
    node = {"name": "a", "axis_names": ["x"], "backend": backend, "tensor": tensor}
    edge = {"id": 0, "node_ids": [0, None], "attributes": {"name": "x", "axes": [0, None]}}
    return json.dumps({"nodes": [{"id": 0, "attributes": node}], "edges": [edge]})


def npy(array: Any, allow_pickle: bool = False) -> str:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=allow_pickle)
    return buffer.getvalue().decode("latin-1")


def header(shape: str) -> str:
    text = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}}}\n"
    return "\x93NUMPY\x01\x00" + chr(len(text) % 256) + chr(len(text) // 256) + text


def test_npy_text_is_read_and_what_is_no_array_of_numbers_is_not() -> None:
    (node,), _ = tn.nodes_from_json(theirs(npy(np.arange(3, dtype=">i4"))))
    assert (node.tensor.tolist(), node.dtype) == ([0, 1, 2], np.int32)
    good = npy(np.arange(3.0))
    bad = {
        "switch its nodes to backend 'numpy'": "\x80\x02}q\x00.",  # a pickle, as of torch
        "dtype object is not supported": npy(np.array([{}]), allow_pickle=True),
        "16 bytes are not a tensor": good[:-8],
        "24 bytes are not a tensor": good.replace("(3,)", "(9,)"),
        "not the .npy format": good.replace("<f8", "<q8"),
        "shape must be a list": header(f"({'1, ' * 65})"),
        "no whole number": good.replace("(3,)", "(-3,)"),
        "is not supported": npy(np.array(["text"])),
    }
    for match, text in bad.items():
        with pytest.raises(FormatError, match=match):
            tn.nodes_from_json(theirs(text, "pytorch"))


# Files from elsewhere


def edited(change: Callable[[dict[str, Any]], None]) -> str:
    document = json.loads(tn.nodes_to_json(network(), {"label": []}))
    change(document)
    return json.dumps(document)


def put(*path: Any) -> Callable[[dict[str, Any]], None]:
    """A change that puts the last of `path` at the place that the others lead to."""

    def change(document: Any) -> None:
        *way, key, value = path
        for step in way:
            document = document[step]
        document[key] = value

    return change


TENSOR = ("nodes", 0, "attributes", "tensor")
CHANGES = [
    (put("format", "other"), "format: is 'other', expected 'tensornet-nodes'"),
    (put("version", 2), "version: is '2'; this release reads 1"),
    (put("version", True), "version: is 'True'"),
    (put("nodes", {}), "document.nodes: is of type dict; expected list"),
    (put("nodes", 0, 3), "nodes.0.: expected an object, not int"),
    (put("nodes", 1, "id", 0), "nodes.1..id: is 0, expected 1"),
    (put("nodes", 0, "type", "Edge"), "nodes.0..type: 'Edge' is none of Node, CopyNode"),
    (put("nodes", 0, "attributes", "name", 3), "nodes.0..attributes.name: is of type int"),
    (put("nodes", 0, "attributes", "axis_names", "abcd"), "axis_names: expected a list of names"),
    (put("nodes", 0, "attributes", "axis_names", ["x"]), "1 axis names"),
    (put("nodes", 0, "attributes", "axis_names", list("xyzz")), "axis name 'z' is repeated"),
    (put(*TENSOR, None), "a tensor is an object with dtype, shape and data, not null"),
    (put(*TENSOR, "dtype", "object"), "dtype 'object' is none of"),
    (put(*TENSOR, "dtype", ["f8"]), "is none of"),
    (put(*TENSOR, "dtype", "float32"), "take 480 bytes, which 1280 letters of base64 do not hold"),
    (put(*TENSOR, "shape", [2, 3, 4]), "take 192 bytes"),
    (put(*TENSOR, "shape", [2, 3, 4, -5]), "extent '-5' is no whole number"),
    (put(*TENSOR, "shape", [2, 3, 4, 5.0]), "extent '5.0' is no whole number"),
    (put(*TENSOR, "shape", [2**60, 2**60]), "letters of base64 do not hold"),
    (put(*TENSOR, "shape", [1] * 65), "at most 64 extents"),
    (put(*TENSOR, "data", "é" * 1280), "data is not base64"),
    (put(*TENSOR, "data", "=" * 1280), "data is not base64|bytes are not a tensor"),
    (put("nodes", 1, "attributes", "rank", 10**9), "rank: is 1000000000, but 3 axes"),
    (put("nodes", 1, "attributes", "dimension", -1), "dimension: '-1' is no whole number"),
    (put("nodes", 1, "attributes", "dtype", "O"), "dtype: 'O' is none of"),
    (put("edges", 0, "node_ids", [0, 99]), "edges.0..node_ids.1.: '99' is no whole number"),
    (put("edges", 0, "node_ids", [None, None]), "axes.0.|node_ids.0.: 'None' is no whole number"),
    (put("edges", 0, "node_ids", [0]), "node_ids and axes must have two entries"),
    (put("edges", 0, "attributes", "axes", [9, None]), "axis 0 .* has no edge"),
    (put("edges", 0, "attributes", "axes", [1, None]), "axis 1 of node 0 has two edges"),
    (put("edges", 0, "attributes", "name", None), "edges.0..attributes.name: is of type NoneType"),
    (put("edges", 0, "attributes", None), "edges.0..attributes: is of type NoneType"),
    (put("edges", []), "axis 0 .* has no edge|rank: is 3, but 0 axes"),
    (put("edge_binding", [1]), "document.edge_binding: is of type list"),
    (put("edge_binding", {"x": 1}), "edge_binding.x: expected a list of edge ids"),
    (put("edge_binding", {"x": [99]}), "edge_binding.x: '99' is no whole number"),
]


@pytest.mark.parametrize(("change", "match"), CHANGES, ids=[match[:40] for _, match in CHANGES])
def test_a_wrong_field_is_named(change: Callable[[Any], None], match: str) -> None:
    with pytest.raises(FormatError, match=match) as caught:
        tn.nodes_from_json(edited(change))
    assert str(caught.value).startswith("JSON of nodes: ")
    assert "\n" not in str(caught.value)


def test_extents_at_both_ends_of_an_edge_must_agree() -> None:
    def swap(document: Any) -> None:
        first, second = document["edges"][1], document["edges"][2]
        first["attributes"]["axes"][first["node_ids"].index(0)] = 2
        second["attributes"]["axes"][second["node_ids"].index(0)] = 1

    with pytest.raises(FormatError, match=r"joins axis 2 of node 0 \(extent 4\) and axis 0 of"):
        tn.nodes_from_json(edited(swap))


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "JSON of nodes:1: not JSON"),
        ("[1, 2]", "expected an object with nodes and edges"),
        ("null", "expected an object"),
        ('{"nodes": []}', "expected an object with nodes and edges"),
        ('{"nodes": [], "nodes": [], "edges": []}', "the key 'nodes' comes twice"),
        ('{"version": 1, "nodes": [], "edges": []}', "format: is 'None'"),
        ('{"format": "tensornet-plan", "nodes": [], "edges": []}', "format: is 'tensornet-plan'"),
        ("[" * 100_000, "nested too deeply"),
        ('{"nodes": ' + "9" * 10_000 + ', "edges": []}', "too many digits"),
    ],
)
def test_text_that_is_no_network_is_refused(text: str, match: str) -> None:
    with pytest.raises(FormatError, match=match):
        tn.nodes_from_json(text)


def test_a_bool_that_is_neither_0_nor_1_is_refused() -> None:
    saved = encode_array(np.array([True, False, True]))
    assert decode_array(saved).tolist() == [True, False, True]
    saved["data"] = "AQAC"
    with pytest.raises(FormatError, match="neither 0 nor 1"):
        decode_array(saved)


def test_mutated_documents_give_a_format_error_or_a_network_and_take_little_memory() -> None:
    rng = random.Random(5)
    texts = [tn.nodes_to_json(network(), {"k": []}), theirs(npy(np.arange(3.0)))]
    outcomes = set()
    tracemalloc.start()
    for _ in range(1000):
        document = json.loads(rng.choice(texts))
        for _ in range(rng.choice([1, 1, 2, 4])):
            mutated(rng, document)
        text = json.dumps(document)
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        outcomes.add(survives(lambda text=text: tn.nodes_from_json(text)[0]))
        assert tracemalloc.get_traced_memory()[1] - before < 2**20
    tracemalloc.stop()
    assert outcomes == {False, True}


def test_mutated_text_gives_a_format_error_or_a_network() -> None:
    rng = random.Random(6)
    text = tn.nodes_to_json(network())
    outcomes = set()
    for _ in range(800):
        letters = list(text)
        for _ in range(rng.choice([1, 2, 5])):
            place = rng.randrange(len(letters))
            letters[place : place + rng.choice([0, 1, 1, 9])] = rng.choice(['"', "7", "}", "é", ""])
        damaged = "".join(letters)
        outcomes.add(survives(lambda damaged=damaged: tn.nodes_from_json(damaged)[0]))
    assert outcomes == {False, True}
