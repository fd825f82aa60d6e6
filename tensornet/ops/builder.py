"""NconBuilder: a network written with operators, ``finalize(a(-1, 1) @ b(1, -2))``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..api import ncon
from ..errors import ShapeError

__all__ = ["NconBuilder", "finalize", "label"]


class NconBuilder:
    """Tensors with labels on their axes, collected by ``@`` until `finalize` contracts them.

    Called with labels a Tensor begins one; ``@`` makes a new one of two and changes neither.

    Args:
        tensors: the tensors.
        axes: a list of labels per tensor, as for `ncon`.

    Raises:
        ShapeError: not one list of labels per tensor.

    >>> import tensornet as tn
    >>> a, b = tn.ones((2, 3)), tn.ones((3, 4))
    >>> network = a(-1, 1) @ b(1, -2)
    >>> network.axes
    [[-1, 1], [1, -2]]
    >>> finalize(network).shape
    (2, 4)
    """

    __slots__ = ("axes", "tensors")

    def __init__(self, tensors: Sequence[Any], axes: Sequence[Sequence[int | str]]) -> None:
        self.tensors: list[Any] = list(tensors)
        self.axes: list[list[int | str]] = [list(labels) for labels in axes]
        if len(self.tensors) != len(self.axes):
            raise ShapeError(
                f"{len(self.axes)} lists of labels were given for {len(self.tensors)} tensors"
            )

    def __matmul__(self, other: NconBuilder) -> NconBuilder:
        if not isinstance(other, NconBuilder):
            return NotImplemented
        return NconBuilder(self.tensors + other.tensors, self.axes + other.axes)

    def __repr__(self) -> str:
        return f"NconBuilder({len(self.tensors)} tensors, {self.axes})"


def label(tensor: Any, axes: Sequence[int | str]) -> NconBuilder:
    """The network of one tensor, with these labels on its axes."""
    return NconBuilder([tensor], [axes])


def finalize(ncon_builder: NconBuilder) -> Any:
    """Contract what an NconBuilder has collected, as `ncon` does: a Tensor if any of it is one.

    Raises:
        ShapeError: labels and shapes that do not fit together.

    >>> import tensornet as tn
    >>> finalize(tn.ones((2, 3))(1, 2) @ tn.ones((3,))(2))
    Tensor(6., dtype=float64)
    """
    return ncon(ncon_builder.tensors, ncon_builder.axes)
