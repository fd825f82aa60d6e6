"""What a model consists of, as a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..tape import Tensor
from .members import members_of, modules_of

if TYPE_CHECKING:
    from .module import Module

__all__ = ["Row", "Summary", "summarise"]


class Row(NamedTuple):
    """One call of a module.

    Attributes:
        path: to it from the model; the model's own is empty.
        kind: its class.
        output_shape: None where it does not return one array.
        parameters: entries of its own parameters, not of its parts; those that an earlier row has
            counted count no more.
        macs: its own scalar multiply-adds.
    """

    path: str
    kind: str
    output_shape: tuple[int | None, ...] | None
    parameters: int
    macs: int


class Summary(NamedTuple):
    """All calls in the order in which they began, and what they come to."""

    rows: tuple[Row, ...]
    parameters: int
    trainable_parameters: int
    macs: int

    def __str__(self) -> str:
        lines = [("layer", "output", "parameters", "macs")]
        lines += [
            (_title(row), str(row.output_shape or "-"), f"{row.parameters:,}", f"{row.macs:,}")
            for row in self.rows
        ]
        frozen = self.parameters - self.trainable_parameters
        note = f"frozen: {frozen:,}" if frozen else ""
        lines.append(("total", note, f"{self.parameters:,}", f"{self.macs:,}"))
        widths = [max([len(line[k]) for line in lines]) for k in range(4)]
        first, second, third, fourth = widths
        return "\n".join(
            f"{a:<{first + 2}}  {b:<{second}}  {c:>{third}}  {d:>{fourth}}" for a, b, c, d in lines
        )

    def __repr__(self) -> str:
        return str(self)


def _title(row: Row) -> str:
    *above, last = row.path.split(".")
    depth = len([word for word in above if word != "layers"]) + 1
    return f"{'  ' * depth}{last}: {row.kind}" if row.path else row.kind


def summarise(
    module: Module, input_shape: Sequence[int | None], run: Callable[[Any], Any]
) -> Summary:
    """Run a module on an input of this shape, and write down what its parts do."""
    run(input_shape)  # builds it, so that all parts are there
    parts = modules_of(module)
    paths = {id(part): path for path, part in parts}
    rows: list[Row] = []
    counted: set[int] = set()
    unknown = bool(input_shape) and input_shape[0] is None

    def observe(part: Module, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
        place = len(rows)
        rows.append(Row(paths[id(part)], type(part).__name__, None, 0, 0))
        own = {id(held): held for _, held in members_of(part, parts=False) if type(held) is Tensor}
        size = sum([tensor.size for key, tensor in own.items() if key not in counted])
        counted.update(own)
        result = part.forward(*inputs, **options)
        given, made = np.shape(inputs[0]) if inputs else (), getattr(result, "shape", None)
        shown = (None, *made[1:]) if unknown and made else made
        macs = part.macs(given, made) if made is not None else 0
        rows[place] = rows[place]._replace(output_shape=shown, parameters=size, macs=macs)
        return result

    for _, part in parts:
        part._observer = observe
    try:
        run(input_shape)
    finally:
        for _, part in parts:
            del part._observer
    trainable = sum([tensor.size for tensor in module.trainable_parameters()])
    macs = sum([row.macs for row in rows])
    return Summary(tuple(rows), module.count_parameters(), trainable, macs)
