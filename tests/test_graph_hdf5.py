"""HDF5 files of networks: written as a whole, and read with suspicion."""

from __future__ import annotations

import builtins
import gzip
import io
import json
import random
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from graph_files import mutated, network, structure, survives
from graph_state import fails, make

import tensornet as tn
from tensornet.errors import FormatError

h5py = pytest.importorskip("h5py", reason="HDF5 files need the extra `hdf5`")

THEIRS = Path(__file__).with_name("data") / "google-tensornetwork.h5.gz"


def test_paths_of_all_kinds_and_open_files_are_written_and_read(tmp_path: Path) -> None:
    nodes = network()
    tn.save_nodes(nodes, str(tmp_path / "a.h5"))
    tn.save_nodes({*nodes}, tmp_path / "b.h5")
    with open(tmp_path / "c.h5", "wb") as file:
        tn.save_nodes(iter(nodes), file)
    for name in ("a.h5", "c.h5"):
        assert structure(tn.load_nodes(tmp_path / name)) == structure(nodes)
    assert len(tn.load_nodes(str(tmp_path / "b.h5"))) == len(nodes)
    with open(tmp_path / "a.h5", "rb") as file:
        assert structure(tn.load_nodes(file)) == structure(nodes)


def test_saving_part_of_a_network_is_refused(tmp_path: Path) -> None:
    a, b = make(2, name="a"), make(2, name="b")
    a[0] ^ b[0]
    with fails(ValueError, "connected to 1 nodes that are not given, such as 'b'", a, b):
        tn.save_nodes([a], tmp_path / "a.h5")
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_replaced_as_a_whole_or_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "net.h5"
    tn.save_nodes([make(2, name="old")], path)
    with pytest.raises(TypeError, match="cannot be saved"):
        tn.save_nodes([tn.Node(np.ones(2, np.longdouble))], path)

    def broken(*args: object) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr("tensornet.files.os.replace", broken)
        with pytest.raises(OSError, match="disk full"):
            tn.save_nodes([make(2, name="new")], path)
    assert list(tmp_path.iterdir()) == [path]
    assert tn.load_nodes(path)[0].name == "old"
    link = tmp_path / "link.h5"
    link.symlink_to(path)
    tn.save_nodes([make(2, name="new")], link)
    assert link.is_symlink()
    assert tn.load_nodes(path)[0].name == "new"


def test_files_that_are_not_there_or_not_hdf5_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        tn.load_nodes(tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("hello")
    with pytest.raises(FormatError, match=r"text.h5: HDF5: "):
        tn.load_nodes(tmp_path / "text.h5")
    with h5py.File(tmp_path / "empty.h5", "w"):
        pass
    with pytest.raises(FormatError, match=r"empty.h5: /network: is missing"):
        tn.load_nodes(tmp_path / "empty.h5")


def tampered(tmp_path: Path, change: Callable[[Any], None]) -> Path:
    path = tmp_path / "net.h5"
    tn.save_nodes(network(), path)
    with h5py.File(path, "r+") as file:
        change(file)
    return path


def instead(name: str, **options: Any) -> Callable[[Any], None]:
    def change(file: Any) -> None:
        del file[name]
        file.create_dataset(name, **options)

    return change


def link(name: str, value: Any) -> Callable[[Any], None]:
    def change(file: Any) -> None:
        del file[name]
        file[name] = value

    return change


def reworded(file: Any) -> None:
    document = json.loads(file["network"][()].tobytes())
    document["version"] = 9
    instead("network", data=np.frombuffer(json.dumps(document).encode(), np.uint8))(file)


def layout_of(kind: str) -> Callable[[Any], None]:
    def change(file: Any) -> None:
        del file["tensors/0"]
        if kind == "virtual":
            layout = h5py.VirtualLayout((2, 3, 4, 5), "f8")
            layout[...] = h5py.VirtualSource("other.h5", "secret", (2, 3, 4, 5))
            file.create_virtual_dataset("tensors/0", layout)
        else:
            file.create_dataset("tensors/0", (2, 3, 4, 5), "f8", external=[("/etc/passwd", 0, 960)])

    return change


TAMPERS = [
    (reworded, "network|version: is '9'"),
    (instead("network", data=b"text"), "/network: "),
    (instead("network", data=np.arange(3.0)), "/?network: expected the bytes of a JSON text"),
    (instead("network", data=np.full(9, 200, np.uint8)), "/?network: expected the bytes"),
    (instead("tensors/0", data="text"), "/tensors/0: dtype object is not supported"),
    (instead("tensors/0", data=np.ones((2, 3), [("a", "f8")])), "/tensors/0: dtype .* supported"),
    (instead("tensors/0", data=np.ones((2, 3))), "axis|rank|shape"),
    (instead("tensors/0", shape=(2, 3, 4, 5), dtype="f8"), "claims 960 bytes but stores 0"),
    (instead("tensors/0", shape=(2**20, 2**20), dtype="f8"), "claims .* bytes but stores 0"),
    (
        instead("tensors/0", shape=(2**20, 2**20), dtype="f8", chunks=(2**10, 2**10)),
        "/tensors/0: is chunked, compressed",
    ),
    (
        instead("tensors/0", data=np.zeros(2**20), chunks=True, compression="gzip"),
        "/tensors/0: is chunked, compressed",
    ),
    (instead("tensors/0", data=h5py.Empty("f8")), "/tensors/0: expected a dataset"),
    (layout_of("virtual"), "is chunked, compressed, virtual"),
    (layout_of("external"), "virtual or in another file"),
    (link("tensors/0", h5py.ExternalLink("other.h5", "/secret")), "is a link to elsewhere"),
    (link("tensors/0", h5py.SoftLink("/tensors/2")), "is a link to elsewhere"),
    (link("tensors", h5py.ExternalLink("other.h5", "/")), "/tensors: is a link to elsewhere"),
    (link("network", h5py.ExternalLink("other.h5", "/")), "/network: is a link to elsewhere"),
    (lambda file: file.pop("tensors"), "/tensors: is missing"),
    (lambda file: file.pop("tensors/2"), "/tensors/2: is missing"),
]


@pytest.mark.parametrize(("change", "match"), TAMPERS, ids=[match[:40] for _, match in TAMPERS])
def test_tampered_files_are_refused(
    change: Callable[[Any], None], match: str, tmp_path: Path
) -> None:
    path = tampered(tmp_path, change)
    with pytest.raises(FormatError, match=match) as caught:
        tn.load_nodes(path)
    assert str(path) in str(caught.value)


def test_one_array_under_many_names_does_not_multiply_memory(tmp_path: Path) -> None:
    nodes = [make(100, 100) for _ in range(20)]
    tn.save_nodes(nodes, tmp_path / "net.h5")
    with h5py.File(tmp_path / "net.h5", "r") as old, h5py.File(tmp_path / "bomb.h5", "w") as bomb:
        bomb["network"] = old["network"][()]
        bomb["tensors/0"] = old["tensors/0"][()]
        for k in range(1, 20):
            bomb[f"tensors/{k}"] = bomb["tensors/0"]
    with pytest.raises(FormatError, match=r"/tensors/\d+: claims more data than the file is long"):
        tn.load_nodes(tmp_path / "bomb.h5")


THEIR_TAMPERS = [
    (instead("nodes/node0/tensor", data="x"), "/nodes/node0/tensor: dtype object is not"),
    (instead("nodes/node0/type", data="Edge"), "type: 'Edge' is none of"),
    (instead("nodes/node0/type", data=["Node", "Node"]), "/nodes/node0/type: expected one word"),
    (instead("nodes/node0/axis_names", data=["x", "x"]), "axis name 'x' is repeated"),
    (instead("nodes/node0/shape", data=2), "/nodes/node0/shape: expected a list of extents"),
    (instead("nodes/node11/shape", data=[3, 4]), "the axes of a copy node have one extent"),
    (instead("nodes/node11/shape", data=[3, 3]), "extent"),
    (instead("nodes/node11/shape", data=[2] * 9), "rank: is 9, but 2 axes"),
    (instead("nodes/node11/shape", data=[np.nan]), "HDF5: |dimension"),
    (instead("nodes/node11/copy_node_dtype", data="O"), "dtype: 'O' is none of"),
    (instead("node_names/names", data=["a"] * 15), "/nodes/node14: is missing"),
    (instead("node_names/names", data=["a"] * 13), "/nodes/: holds 14 members, expected 13"),
    (instead("node_names/names", data=[1, 2]), "/node_names/names: expected text"),
    (instead("node_names/names", data=np.full((2, 7), b"a")), "/node_names/names: expected text"),
    (instead("node_names/names", data=[b"\xff"] * 14), "expected UTF-8 text"),
    (instead("node_names/names", shape=2**40, dtype="S9"), "claims .* bytes but stores"),
    (instead("node_names/names", shape=2**40, dtype=h5py.string_dtype()), "claims .* but stores"),
    (instead("edges/edge0/node1", data="node77"), "'node77' is none of the nodes"),
    (instead("edges/edge0/axis1", data=9), "axis|edge"),
    (instead("edges/edge0/axis1", data=[0, 1]), "expected a whole number"),
    (instead("edges/edge0/axis1", data=0.0), "expected a whole number"),
    (lambda file: file.pop("edges/edge1"), "/edges/edge1: is missing"),
    (lambda file: file.pop("edges/edge1/axis1"), "/edges/edge1/axis1: is missing"),
    (link("nodes", h5py.ExternalLink("x.h5", "/")), "/nodes: is a link to elsewhere"),
    (link("edge_names", h5py.SoftLink("/node_names")), "/edge_names: is a link to elsewhere"),
]


@pytest.mark.parametrize(
    ("change", "match"), THEIR_TAMPERS, ids=[match[:40] for _, match in THEIR_TAMPERS]
)
def test_tampered_files_of_google_tensornetwork_are_refused(
    change: Callable[[Any], None], match: str, tmp_path: Path
) -> None:
    path = tmp_path / "theirs.h5"
    path.write_bytes(gzip.decompress(THEIRS.read_bytes()))
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(FormatError, match=match):
        tn.load_nodes(path)


def test_mutated_documents_give_a_format_error_or_a_network(tmp_path: Path) -> None:
    rng = random.Random(7)
    file = io.BytesIO()
    tn.save_nodes(network(), file)
    outcomes = set()
    for _ in range(300):
        damaged = io.BytesIO(file.getvalue())
        with h5py.File(damaged, "r+") as opened:
            document = json.loads(opened["network"][()].tobytes())
            mutated(rng, document)
            instead("network", data=np.frombuffer(json.dumps(document).encode(), "u1"))(opened)
            if rng.random() < 0.3:
                one, two = rng.sample(sorted(opened["tensors"]), 2)
                opened.move(f"tensors/{one}", "tensors/x")
                opened.move(f"tensors/{two}", f"tensors/{one}")
        damaged.seek(0)
        outcomes.add(survives(lambda damaged=damaged: tn.load_nodes(damaged)))
    assert outcomes == {False, True}


def test_cut_files_give_a_format_error(tmp_path: Path) -> None:
    file = io.BytesIO()
    tn.save_nodes(network(), file)
    whole = file.getvalue()
    for length in [0, 7, 100, len(whole) // 2, len(whole) - 1]:
        with pytest.raises(FormatError, match="<file>: "):
            tn.load_nodes(io.BytesIO(whole[:length]))


def test_one_long_name_for_all_does_not_multiply_memory(tmp_path: Path) -> None:
    path = tmp_path / "names.h5"
    with h5py.File(path, "w") as file:
        for group in ("nodes", "edges"):
            file.create_group(group)
        word = np.array(["x" * 10_000], object)
        file.create_dataset("edge_names/names", data=word, dtype=h5py.string_dtype())
        names = file.create_dataset("node_names/names", (3000,), h5py.string_dtype())
        names[...] = ""
        del word
    raw = bytearray(path.read_bytes())
    with h5py.File(path, "r") as file:
        long = file["edge_names/names"].id.get_offset()
        start = file["node_names/names"].id.get_offset()
    for k in range(3000):  # every name is the same words in the heap of the file
        raw[start + 16 * k : start + 16 * k + 16] = raw[long : long + 16]
    path.write_bytes(raw)
    tracemalloc.start()
    with pytest.raises(FormatError, match="/node_names/names: claims more data than the file"):
        tn.load_nodes(path)
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def test_files_of_google_tensornetwork_are_read_in_order() -> None:
    nodes = tn.load_nodes(io.BytesIO(gzip.decompress(THEIRS.read_bytes())))
    assert [node.name for node in nodes] == [
        *[f"n{k}" for k in range(11)],
        "hub",
        "trace",
        "scalar",
    ]
    tn.check_correct(nodes, check_connections=False)
    for k in range(11):
        assert nodes[k].tensor.tolist() == [[k, k], [k, k]]
        assert nodes[k][1] is nodes[k + 1][0]
        assert nodes[k].axis_names == ["0", "1"]
    assert nodes[3][1].name == "third"
    hub, trace, scalar = nodes[11:]
    assert (type(hub), hub.shape, hub.dtype) == (tn.CopyNode, (2, 2), np.float32)
    assert trace[0] is trace[1]
    assert (scalar.tensor, scalar.edges) == (3.0, [])


def test_without_h5py_the_error_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    original = builtins.__import__

    def missing(name: str, *args: Any, **options: Any) -> Any:
        if name.startswith("h5py"):
            raise ModuleNotFoundError("No module named 'h5py'")
        return original(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ImportError, match=r"pip install 'tensornet\[hdf5\]'"):
        tn.save_nodes([make(2)], tmp_path / "a.h5")
    with pytest.raises(ImportError, match=r"pip install 'tensornet\[hdf5\]'"):
        tn.load_nodes(tmp_path / "a.h5")
