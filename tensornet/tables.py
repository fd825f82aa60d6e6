"""Contraction trees as text: what one costs in a few lines, and its steps, a row each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from html import escape
from itertools import chain, groupby
from math import log2, log10, prod
from typing import NamedTuple

from .planner import Tree

__all__ = ["Step", "Summary", "format_term", "readable", "steps_of", "summary", "table"]

_LONG = 40  # characters of a term, above which it is shortened


class Step(NamedTuple):
    """One pairwise contraction: its number, the indices that meet, and what it costs.

    `macs` are those of all slices together, `size` the entries of the result within a slice.
    """

    number: int
    left: tuple[int, ...]
    right: tuple[int, ...]
    result: tuple[int, ...]
    macs: int
    size: int


def steps_of(tree: Tree) -> list[Step]:
    """The steps of a tree in their order; the macs add up to those of the tree.

    >>> from tensornet.expr import Expr
    >>> tree = Tree(Expr(((0, 1), (1, 2), (2,)), (0,), (2, 3, 4)), ((1, 2), (0, 3)))
    >>> [(step.macs, step.size) for step in steps_of(tree)]
    [(12, 3), (6, 2)]
    """
    sizes, slices = tree.expr.sizes, tree.n_slices
    holders = Counter(chain(tree.expr.output, *map(set, tree.expr.inputs)))
    steps = []
    for number, (left, right, result) in enumerate(tree.step_terms()):
        # what is on one operand only is summed before the operands meet
        met = [i for i in set(left).union(right) if holders[i] > 1]
        macs = prod([sizes[i] for i in met]) * slices
        size = prod([sizes[i] for i in result])
        steps.append(Step(number, left, right, result, macs, size))
    return steps


_ORDERS: dict[str, Callable[[Step], int]] = {
    "step": lambda step: step.number,
    "macs": lambda step: -step.macs,
    "size": lambda step: -step.size,
}


def table(
    tree: Tree,
    labels: Sequence[Hashable] | None = None,
    sort: str = "step",
    top: int | None = None,
    style: str = "text",
) -> str:
    """The steps with their shapes, macs, sizes, and shares of all macs, as lines of text.

    Raises:
        ValueError: an order or a style that does not exist, or a negative `top`.
    """
    if sort not in _ORDERS:
        raise ValueError(f"sort={sort!r}: use one of {', '.join(_ORDERS)}")
    if style not in ("text", "markdown"):
        raise ValueError(f"style={style!r}: use text or markdown")
    if top is not None and top < 0:
        raise ValueError(f"top={top}: give the number of steps to show")
    steps = sorted(steps_of(tree), key=_ORDERS[sort])
    total = max(1, sum([step.macs for step in steps]))
    shown, so_far = steps[:top], 0
    rows = [("step", "contraction", "shapes", "macs", "size", "share", "so far")]
    for step in shown:
        so_far += step.macs
        rows.append(
            (
                str(step.number),
                _contraction(step, labels),
                _shapes(step, tree.expr.sizes),
                readable(step.macs),
                readable(step.size),
                _percent(step.macs, total),
                _percent(so_far, total),
            )
        )
    lines = _markdown(rows) if style == "markdown" else _text(rows)
    if len(shown) < len(steps):
        rest = len(steps) - len(shown)
        lines += ["", f"and {rest:,} more, with {_percent(total - so_far, total)} of the macs"]
    return "\n".join(lines)


def format_term(term: Sequence[Hashable]) -> str:
    """A term as text: letters side by side, longer labels in brackets."""
    parts = ["..." if label is Ellipsis else str(label) for label in term]
    plain = all(len(part) == 1 or part == "..." for part in parts)
    return "".join(parts) if plain else f"({' '.join(parts)})"


def readable(number: int) -> str:
    """A number in full as long as one can read it, else as a power of two."""
    return f"{number:,}" if number < 10**18 else f"2^{log2(number):.1f}"


def _contraction(step: Step, labels: Sequence[Hashable] | None) -> str:
    left, right, result = [
        _shortened(term, labels) for term in (step.left, step.right, step.result)
    ]
    return f"{left},{right}->{result}"


def _shortened(term: Sequence[int], labels: Sequence[Hashable] | None) -> str:
    text = format_term(term if labels is None else [labels[i] for i in term])
    return text if len(text) <= _LONG else f"{text[: _LONG // 2]}..({len(term)} indices)"


def _shapes(step: Step, sizes: Sequence[int]) -> str:
    left, right, result = [_shape(term, sizes) for term in (step.left, step.right, step.result)]
    return f"{left}, {right} -> {result}"


def _shape(term: Sequence[int], sizes: Sequence[int]) -> str:
    runs = [(size, len(list(run))) for size, run in groupby([sizes[i] for i in term])]
    text = " x ".join([str(size) if n == 1 else f"{size}^{n}" for size, n in runs]) or "1"
    return text if len(text) <= _LONG else f"{text[: _LONG // 2]}..({len(term)} axes)"


def _percent(part: int, whole: int) -> str:
    return f"{part * 1000 // whole / 10:.1f}%"


def _markdown(rows: Sequence[Sequence[str]]) -> list[str]:
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    lines = [f"| {' | '.join(row)} |" for row in escaped]
    lines.insert(1, "|---:|---|---|---:|---:|---:|---:|")
    return lines


def _text(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if k in (1, 2) else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(row, widths))
        ]
        lines.append("  ".join(cells))
    return lines


class Summary(NamedTuple):
    """What a tree costs, a line for each kind of cost, and what found it in what time."""

    title: str
    lines: list[tuple[str, str]]

    def text(self) -> str:
        """The lines in two columns."""
        return "\n".join([self.title, *[f"  {name:<12} {value}" for name, value in self.lines]])

    def html(self) -> str:
        """A table for notebooks."""
        left = "style='text-align: left'"
        rows = [
            f"<tr><th {left}>{escape(name)}</th><td {left}>{escape(value)}</td></tr>"
            for name, value in self.lines
        ]
        return f"<table><caption>{escape(self.title)}</caption>{''.join(rows)}</table>"


def summary(
    tree: Tree, sliced: Sequence[Hashable], peak: str, search: str | None, seconds: float | None
) -> Summary:
    """What a tree costs, and what found it in what time.

    Args:
        sliced: labels of the sliced indices.
        peak: the peak memory in words.
    """
    shape = tree.expr.output_shape
    output = str(shape) if len(shape) < 12 else f"{len(shape)} axes"
    shown = ", ".join([repr(label) for label in sliced[:12]])
    more = ", ..." if len(sliced) > 12 else ""
    slices = readable(tree.n_slices) + (f" over {shown}{more}" if shown else "")
    lines = [
        ("output", output if shape else "a scalar"),
        ("width", f"{tree.width:.1f} (largest tensor: {readable(tree.max_size)} entries)"),
        ("log10 macs", f"{log10(tree.macs):.2f}" if tree.macs else "no multiplications"),
        ("peak memory", peak),
        ("slices", slices),
    ]
    if search is not None:
        lines.append(("search", search + ("" if seconds is None else _spent(seconds))))
    title = f"Plan of {len(tree.expr.inputs):,} tensors and {len(tree.expr.sizes):,} indices"
    return Summary(title, lines)


def _spent(seconds: float) -> str:
    return f", {seconds:.2f} s" if seconds >= 1 else f", {1e3 * seconds:.3g} ms"
