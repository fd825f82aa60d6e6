"""Pictures: drawn on matplotlib axes, for any network, without showing anything."""

from __future__ import annotations

import builtins
import subprocess
import sys

import pytest
from test_planner import chain, lattice

import tensornet
from tensornet.expr import Expr, from_labels
from tensornet.planner import Tree, search, slice_tree

matplotlib = pytest.importorskip("matplotlib", reason="pictures need the extra `plot`")
matplotlib.use("Agg")

from matplotlib import pyplot  # noqa: E402

from tensornet.drawing import draw  # noqa: E402

KINDS = ["tree", "ring"]


@pytest.fixture(autouse=True)
def _close():
    yield
    pyplot.close("all")


def rendered(ax):
    ax.figure.canvas.draw()
    return ax


@pytest.mark.parametrize("kind", KINDS)
def test_a_plan_draws_itself_on_new_axes(kind):
    plan = tensornet.plan_expr(lattice(5, 5), max_entries=8)
    ax = rendered(plan.draw(kind))
    assert "25 tensors" in ax.get_title()
    assert "slices" in ax.get_title()
    assert ax.collections


@pytest.mark.parametrize("kind", KINDS)
def test_it_draws_on_axes_that_are_given(kind):
    figure, axes = pyplot.subplots(1, 2)
    assert tensornet.plan_expr(lattice(4, 4)).draw(kind, ax=axes[1]) is axes[1]
    assert pyplot.get_fignums() == [figure.number]


def test_a_tree_has_a_line_above_every_tensor_but_the_last():
    tree = search(lattice(4, 4))
    ax = rendered(draw(tree))
    lines, nodes, leaves = ax.collections[:3]
    assert len(lines.get_segments()) == 2 * 15
    assert (len(nodes.get_offsets()), len(leaves.get_offsets())) == (15, 16)
    assert sorted(leaves.get_offsets()[:, 0]) == list(range(16))
    assert lines.get_array().max() == nodes.get_array().max()


def test_a_ring_has_a_chord_for_every_index_and_dots_for_sliced_ones():
    expr = lattice(4, 4)
    tree = slice_tree(search(expr), 4)
    ax = rendered(draw(tree, "ring"))
    lines, leaves = ax.collections
    assert len(lines.get_segments()) + len(ax.lines) == len(expr.sizes)
    assert len(ax.lines) == len(tree.sliced) > 0
    assert len(leaves.get_offsets()) == 16


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "expr",
    [
        Expr((), (), ()),
        Expr(((0,),), (0,), (3,)),
        Expr(((), ()), (), ()),
        Expr(((0, 0), (1,)), (1,), (2, 0)),
        Expr(((0,),) * 40, (0,), (2,)),
        from_labels([(i,) for i in range(30)], (), dict.fromkeys(range(30), 2)),
    ],
    ids=["no tensor", "one", "scalars", "empty", "hyperedge", "loose"],
)
def test_degenerate_networks_can_be_drawn(kind, expr):
    rendered(draw(search(expr), kind))


@pytest.mark.parametrize("kind", KINDS)
def test_sliced_open_and_dangling_indices_can_be_drawn(kind):
    expr = Expr(((0, 1), (1, 2), (2, 3, 4)), (0, 2), (2, 3, 4, 5, 6))
    rendered(draw(Tree(expr, search(expr).steps, (0, 2, 3)), kind))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("expr", [chain(8000), lattice(60, 60)], ids=["chain", "lattice"])
def test_thousands_of_tensors_are_no_trouble(kind, expr):
    rendered(draw(search(expr, "greedy"), kind))


def test_a_chain_ten_thousand_deep_can_be_drawn():
    n = 10_000
    steps = ((0, 1), *[(n + t, t + 2) for t in range(n - 2)])
    rendered(draw(Tree(chain(n), steps)))


def test_other_kinds_are_refused():
    with pytest.raises(ValueError, match="kind='pie': use one of tree, ring"):
        tensornet.plan_expr(lattice(3, 3)).draw("pie")


def test_without_matplotlib_the_error_names_the_extra(monkeypatch):
    original = builtins.__import__

    def missing(name, *args, **options):
        if name.startswith("matplotlib"):
            raise ModuleNotFoundError("No module named 'matplotlib'")
        return original(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ImportError, match=r"pip install 'tensornet\[plot\]'"):
        draw(search(lattice(3, 3)))


def test_importing_tensornet_does_not_import_matplotlib():
    code = "import sys, tensornet; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
