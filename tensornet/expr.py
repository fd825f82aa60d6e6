"""Expr: a tensor network as integers, the one description that every later stage works on.

Labels of any kind (letters, names, edges) are numbered at the front door and never go further.
The parsers of the front doors stand here too: einsum subscripts, interleaved lists and ncon.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from math import prod
from numbers import Real
from typing import Any, NamedTuple

from .errors import ShapeError

__all__ = [
    "Equation",
    "Expr",
    "bind_equation",
    "from_labels",
    "from_shapes",
    "parse_einsum",
    "parse_ncon",
]

Label = Hashable
Term = Sequence[Label]
Shape = Sequence[int]


@dataclass(frozen=True)
class Expr:
    """A tensor network: which integer index sits on which axis of which operand.

    Attributes:
        inputs: one tuple of index ids per operand, one id per axis. An id may be on any number of
            operands (a hyperedge); one that repeats within an operand takes its diagonal.
        output: index ids of the result, each at most once; every other index is summed.
        sizes: ``sizes[i]`` is the extent of index ``i``; the ids are ``0 .. len(sizes) - 1``.

    >>> Expr(inputs=((0, 1), (1, 2)), output=(0, 2), sizes=(2, 3, 4)).shapes
    ((2, 3), (3, 4))
    """

    inputs: tuple[tuple[int, ...], ...]
    output: tuple[int, ...]
    sizes: tuple[int, ...]

    @cached_property
    def _hash(self) -> int:
        return hash((self.inputs, self.output, self.sizes))

    def __hash__(self) -> int:
        return self._hash

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shape of each operand."""
        sizes = self.sizes
        return tuple(tuple([sizes[i] for i in term]) for term in self.inputs)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """The shape of the result."""
        return tuple([self.sizes[i] for i in self.output])

    @property
    def output_size(self) -> int:
        """The number of entries of the result."""
        return prod(self.output_shape)


def from_labels(
    inputs: Sequence[Term], output: Iterable[Label], sizes: Mapping[Label, int]
) -> Expr:
    """Number the labels of a network whose extents are known by label.

    Ids are given in order of first appearance, so that relabelled networks give equal Exprs.

    Raises:
        ShapeError: a label without an extent, an impossible extent, or an output label that is
            repeated or on no operand.

    >>> from_labels(["ab", "bc"], "ac", {"a": 2, "b": 3, "c": 4}).output
    (0, 2)
    """
    number: dict[Label, int] = {}
    terms = tuple(tuple([number.setdefault(x, len(number)) for x in term]) for term in inputs)
    try:
        extents = tuple([_extent(label, sizes[label]) for label in number])
    except KeyError as error:
        raise ShapeError(f"index {error.args[0]!r} has no entry in sizes") from None
    return Expr(terms, _number_output(output, number), extents)


def from_shapes(inputs: Sequence[Term], output: Iterable[Label], shapes: Sequence[Shape]) -> Expr:
    """Number the labels of a network whose extents come from the operands' shapes.

    Raises:
        ShapeError: wrong operand count or rank, an index with two extents (names the index,
            both operands and both extents), or a bad output label.

    >>> from_shapes(["ab", "bc"], "ac", [(2, 3), (3, 4)]).sizes
    (2, 3, 4)
    """
    _check_count(inputs, shapes)
    number: dict[Label, int] = {}
    extents: list[int] = []
    terms = []
    for position, (term, shape) in enumerate(zip(inputs, shapes)):
        if len(term) != len(shape):
            raise ShapeError(_wrong_rank(position, term, shape))
        ids = []
        for label, extent in zip(term, shape):
            index = number.setdefault(label, len(number))
            if index == len(extents):
                extents.append(_extent(label, extent))
            elif extents[index] != extent:
                raise ShapeError(_mismatch(inputs, shapes, label, extents[index], position))
            ids.append(index)
        terms.append(tuple(ids))
    return Expr(tuple(terms), _number_output(output, number), tuple(extents))


class Equation(NamedTuple):
    """An einsum as it was written: a term of labels per operand, `Ellipsis` where "..." stands.

    A term without an ellipsis may be a plain string. ``output`` is None if it was left implicit.
    """

    inputs: tuple[Term, ...]
    output: Term | None


@dataclass(frozen=True)
class EllipsisAxis:
    """The label of one axis under "...", counted from the right so that the axes broadcast."""

    from_right: int

    def __repr__(self) -> str:
        return f"axis {-self.from_right} of '...'"


def parse_einsum(operands: Sequence[Any]) -> tuple[Equation, list[Any]]:
    """Split einsum's positional arguments into the equation and the operands (or shapes).

    Takes ``("ij,jk->ik", a, b)`` as well as ``(a, [0, 1], b, [1, 2], [0, 2])``, whose labels may
    be any hashable objects and whose last list may be left out, or None, for an implicit output.

    Raises:
        ShapeError: malformed subscripts, no operand, or another number of operands than terms.
        TypeError: an interleaved list that is no list of hashable labels.

    >>> parse_einsum(("ij,jk", 1, 2))
    (Equation(inputs=('ij', 'jk'), output=None), [1, 2])
    """
    if not operands:
        raise ShapeError("einsum needs subscripts and at least one operand")
    if isinstance(operands[0], str):
        equation = _parse_subscripts(operands[0])
        rest = list(operands[1:])
    else:
        equation, rest = _parse_interleaved(operands)
    _check_count(equation.inputs, rest)
    return equation, rest


def _parse_subscripts(text: str) -> Equation:
    left, arrow, right = "".join(text.split()).partition("->")
    for char in sorted(set(left + right) - {",", "."}):
        if not (char.isalnum() or ord(char) > 127):
            hint = "'->' may stand once, before the output" if char in "->" else "use letters"
            raise ShapeError(f"subscripts {_brief(text)} hold {char!r}, which is no index: {hint}")
    if "," in right:
        raise ShapeError(f"the output {right!r} of {_brief(text)} holds ',': it is a single term")
    inputs = tuple([_parse_term(term, f"operand {i}") for i, term in enumerate(left.split(","))])
    return Equation(inputs, _parse_term(right, "the output") if arrow else None)


def _parse_term(term: str, owner: str) -> Term:
    if "." not in term:
        return term
    before, dots, after = term.partition("...")
    if not dots or "." in before or "." in after:
        raise ShapeError(f"term {term!r} of {owner} has a '.' outside of a single '...'")
    return (*before, Ellipsis, *after)


def _parse_interleaved(operands: Sequence[Any]) -> tuple[Equation, list[Any]]:
    if len(operands) < 2:
        raise ShapeError("einsum needs a subscripts string, or a list of labels after each operand")
    pairs = len(operands) // 2
    lists = [operands[2 * i + 1] for i in range(pairs)]
    terms = tuple([_label_list(x, f"operand {i}") for i, x in enumerate(lists)])
    output = None
    if len(operands) % 2 and operands[-1] is not None:
        output = _label_list(operands[-1], "the output")
    return Equation(terms, output), [operands[2 * i] for i in range(pairs)]


def _label_list(labels: Any, owner: str) -> Term:
    try:
        term = tuple(labels)
        distinct = set(term)
    except TypeError:
        raise TypeError(
            f"the labels of {owner} must be a list of hashable labels, not {_brief(labels)}"
        ) from None
    if Ellipsis in distinct and term.count(Ellipsis) > 1:
        raise ShapeError(f"the labels of {owner} hold more than one Ellipsis")
    return term


def bind_equation(
    equation: Equation, shapes: Sequence[Shape]
) -> tuple[Expr, tuple[Label, ...], tuple[tuple[int, ...], ...] | None]:
    """Give an equation the shapes of its operands.

    As in NumPy, "..." stands for all unnamed axes, aligned from the right, and an axis of size 1
    stretches to the extent that its index has elsewhere.

    Returns:
        the Expr, the label of each of its index ids, and the axes of size 1 that each operand
        has to drop before it fits the Expr (None if no operand has any).

    Raises:
        ShapeError: the shapes do not fit the equation or each other.

    >>> expr, labels, dropped = bind_equation(Equation(("ij", "jk"), None), [(2, 1), (3, 4)])
    >>> expr.inputs, labels, dropped
    (((0,), (1, 2)), ('i', 'j', 'k'), ((1,), ()))
    """
    _check_count(equation.inputs, shapes)
    terms, depth = _expand_terms(equation.inputs, shapes)
    output = _expand_output(equation, depth)
    extents: dict[Label, int] = {}
    stretched = False
    for position, (term, shape) in enumerate(zip(terms, shapes)):
        own: dict[Label, int] = {}
        for label, extent in zip(term, shape):
            if own.setdefault(label, extent) != extent:  # a diagonal never stretches
                raise ShapeError(_mismatch(terms, shapes, label, own[label], position, position))
        for label, extent in own.items():
            known = extents.setdefault(label, extent)
            if known != extent:
                if 1 not in (known, extent):
                    raise ShapeError(_mismatch(terms, shapes, label, known, position))
                stretched = True
                extents[label] = extent if known == 1 else known
    dropped = None
    if stretched:
        dropped = tuple(
            [
                tuple([k for k, x in enumerate(term) if shape[k] == 1 != extents[x]])
                for term, shape in zip(terms, shapes)
            ]
        )
        shapes = [_without(shape, axes) for shape, axes in zip(shapes, dropped)]
        terms = [_without(term, axes) for term, axes in zip(terms, dropped)]
    expr = from_shapes(terms, output, shapes)
    return expr, tuple(dict.fromkeys(chain.from_iterable(terms))), dropped


def _without(items: Sequence[Any], axes: Sequence[int]) -> list[Any]:
    return [x for k, x in enumerate(items) if k not in axes]


def _expand_terms(inputs: Sequence[Term], shapes: Sequence[Shape]) -> tuple[list[Term], int]:
    """Name the axes under each "..."; returns the terms and the greatest number of such axes."""
    terms: list[Term] = []
    depth = 0
    for position, (term, shape) in enumerate(zip(inputs, shapes)):
        has_ellipsis = not isinstance(term, str) and Ellipsis in term
        hidden = len(shape) - len(term) + 1 if has_ellipsis else 0
        if hidden < 0 or (not has_ellipsis and len(shape) != len(term)):
            raise ShapeError(_wrong_rank(position, term, shape))
        terms.append(_expand(term, hidden) if has_ellipsis else term)
        depth = max(depth, hidden)
    return terms, depth


def _expand(term: Term, hidden: int) -> Term:
    where = term.index(Ellipsis)
    axes = [EllipsisAxis(k) for k in range(hidden, 0, -1)]
    return (*term[:where], *axes, *term[where + 1 :])


def _expand_output(equation: Equation, depth: int) -> Term:
    output = equation.output
    if output is None:
        counts = Counter(chain.from_iterable(equation.inputs))
        single: list[Any] = [x for x, n in counts.items() if n == 1 and x is not Ellipsis]
        try:
            return _expand((Ellipsis, *sorted(single)), depth)
        except TypeError:
            raise TypeError("labels that cannot be sorted need an explicit output list") from None
    if not isinstance(output, str) and Ellipsis in output:
        return _expand(output, depth)
    if depth:
        raise ShapeError(
            f"'...' stands for {_count(depth, 'axis', 'axes')} of the operands but the output "
            "has no '...': write '->...' to keep them, or name the axes that are to be summed"
        )
    return output


def parse_ncon(
    shapes: Sequence[Shape],
    network_structure: Sequence[Sequence[int | str]],
    con_order: Sequence[int | str] | None = None,
    out_order: Sequence[int | str] | None = None,
    check_network: bool = True,
) -> tuple[Expr, list[tuple[int, int]] | None]:
    """Read a network in ncon notation; returns its Expr and, for a `con_order`, an SSA path.

    Negative numbers and strings that start with "-" are open labels; all others are summed. The
    output is ordered -1, -2, ..., then the strings alphabetically, unless `out_order` says so.

    Raises:
        ShapeError: labels, orders and shapes that do not fit together.

    >>> parse_ncon([(2, 3), (3, 4)], [[-1, 1], [1, -2]])[0].output_shape
    (2, 4)
    """
    terms = [_ncon_term(i, term, check_network) for i, term in enumerate(network_structure)]
    if not terms:
        raise ShapeError("ncon needs at least one tensor")
    _check_count(terms, shapes, "network_structure names")
    labels = dict.fromkeys(chain.from_iterable(terms))
    opened = _ncon_sorted([x for x in labels if _is_open(x)])
    closed = _ncon_sorted([x for x in labels if not _is_open(x)])
    if out_order is not None and len(out_order):
        _check_ncon_order("out_order", out_order, "open", opened)
        opened = list(out_order)
    if con_order is not None and check_network and len(con_order):
        _check_ncon_order("con_order", con_order, "summed", closed)
    expr = from_shapes(terms, opened, shapes)
    if con_order is None or not len(con_order):
        return expr, None
    return expr, _ncon_path(terms, con_order)


def _ncon_term(position: int, term: Any, check: bool) -> list[int | str]:
    if isinstance(term, str) or not isinstance(term, Iterable):
        raise ShapeError(
            f"network_structure[{position}] is {term!r}: it must be the list of labels"
        )
    labels = list(term)
    for label in labels:
        if isinstance(label, str):
            name = label.removeprefix("-")
            if not name or (check and not name.isalnum()):
                raise ShapeError(
                    f"label {label!r} of tensor {position} is not alphanumeric after its '-'"
                )
        elif not isinstance(label, Real) or label == 0:
            raise ShapeError(
                f"label {label!r} of tensor {position} must be a string or a number other than 0"
            )
    return labels


def _is_open(label: Any) -> bool:
    return label.startswith("-") if isinstance(label, str) else label < 0


def _ncon_sorted(labels: list[Any]) -> list[Any]:
    numbers = [x for x in labels if not isinstance(x, str)]
    return sorted(numbers, key=abs) + sorted([x for x in labels if isinstance(x, str)])


def _check_ncon_order(name: str, order: Sequence[Any], kind: str, labels: list[Any]) -> None:
    repeated = [x for x, n in Counter(order).items() if n > 1]
    known, ordered = set(labels), set(order)
    unknown = [x for x in order if x not in known]
    missing = [x for x in labels if x not in ordered]
    for problem, which in (
        ("repeats", repeated),
        (f"holds labels that are not {kind} labels of the network:", unknown),
        (f"lacks the {kind} labels", missing),
    ):
        if which:
            raise ShapeError(f"{name} {problem} {_brief(which)}")


def _ncon_path(terms: Sequence[Term], con_order: Sequence[Label]) -> list[tuple[int, int]]:
    """SSA steps that sum the labels in this order, each together with all that its pair shares.

    A label on three or more tensors waits until other labels have joined all but two of them;
    if none do, its tensors are joined in order. What is left in the end is an outer product.
    """
    parent = list(range(len(terms)))
    path: list[tuple[int, int]] = []

    def find(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    def join(nodes: Sequence[int]) -> None:
        left = nodes[0]
        for right in nodes[1:]:
            path.append((left, right))
            parent[left] = parent[right] = left = len(parent)
            parent.append(left)

    holders: dict[Label, list[int]] = {}
    for position, term in enumerate(terms):
        for label in term:
            holders.setdefault(label, []).append(position)
    queue = deque([label for label in con_order if label in holders])
    waited = 0
    while queue:
        label = queue.popleft()
        nodes = sorted({find(x) for x in holders[label]})
        if len(nodes) > 2 and waited < len(queue):
            queue.append(label)
            waited += 1
            continue
        join(nodes)
        waited = 0
    join(sorted({find(x) for x in range(len(terms))}))
    return path


def _check_count(
    terms: Sequence[Term], operands: Sequence[Any], who: str = "the subscripts name"
) -> None:
    if len(terms) != len(operands):
        named, given = _count(len(terms), "operand", "operands"), len(operands)
        raise ShapeError(f"{who} {named} but {_count(given, 'was', 'were')} given")


def _extent(label: Label, extent: int) -> int:
    if not (isinstance(extent, Real) and 0 <= extent < 2**63 and extent == int(extent)):
        raise ShapeError(f"index {label!r} has extent {extent!r}, which no axis can have")
    return int(extent)


def _number_output(output: Iterable[Label], number: Mapping[Label, int]) -> tuple[int, ...]:
    ids: list[int] = []
    seen: set[int] = set()
    for label in output:
        index = number.get(label)
        if index is None:
            raise ShapeError(f"output index {label!r} is on no operand")
        if index in seen:
            raise ShapeError(f"output index {label!r} is repeated")
        seen.add(index)
        ids.append(index)
    return tuple(ids)


def _wrong_rank(position: int, term: Term, shape: Shape) -> str:
    named = len([x for x in term if x is not Ellipsis])
    return (
        f"operand {position} has {_count(len(shape), 'axis', 'axes')} (shape {tuple(shape)}) "
        f"but its term {_brief(term)} names {_count(named, 'index', 'indices')}"
    )


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _brief(value: Any) -> str:
    """repr in one short line, so that no message is a page long."""
    text = repr(value).replace("Ellipsis", "...").replace("\n", " ")
    return text if len(text) <= 80 else f"{text[:60]} ... {text[-15:]}"


def _mismatch(
    inputs: Sequence[Term],
    shapes: Sequence[Shape],
    label: Label,
    want: int,
    second: int,
    first: int | None = None,
) -> str:
    """Say which axis of operand `second` disagrees with the earlier axis of extent `want`."""
    first, first_axis = next(
        (position, axis)
        for position in (range(second + 1) if first is None else (first,))
        for axis, x in enumerate(inputs[position])
        if x == label and shapes[position][axis] == want
    )
    second_axis = next(
        axis for axis, x in enumerate(inputs[second]) if x == label and shapes[second][axis] != want
    )
    return (
        f"index {label!r} has extent {want} on operand {first} (axis {first_axis}, shape "
        f"{tuple(shapes[first])}) but {shapes[second][second_axis]} on operand {second} "
        f"(axis {second_axis}, shape {tuple(shapes[second])})"
    )
