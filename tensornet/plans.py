"""Plan: a contraction tree made ready for one dtype and one amount of memory."""

from __future__ import annotations

import json
import os
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike

from .arrays import Array, as_arrays, check_dtype, converted, result_dtype
from .backends import find_library, run_calls
from .config import check_threads, format_bytes
from .errors import FormatError, MemoryLimitError, PlanError
from .expr import Expr
from .files import replacing
from .planner import Tree
from .program import Program, lower
from .progress import Progress
from .tables import Summary, summary, table
from .tape import any_tensor

if TYPE_CHECKING:
    Axes = Any  # matplotlib's, which is imported when something is drawn

__all__ = ["Plan"]

_FORMAT = "tensornet-plan"
_VERSION = 1


@dataclass(frozen=True)
class Plan:
    """How a network will be contracted: its tree, its slices, and what they cost.

    Attributes:
        tree: the pairwise steps and the sliced indices, on integer index ids.
        dtype, threads, strip_exponent: what `peak_memory` was computed for, and the defaults
            of `compile`.
        labels: the caller's label of each index id, or None if the ids are all there is.
        search, seconds: what found the tree, and how long it took; None if that is not known.
            Plans that differ only here are equal.

    >>> import tensornet
    >>> plan = tensornet.plan(["ab", "bc", "cd"], "ad", dict(a=2, b=3, c=4, d=5))
    >>> plan.n_tensors, plan.n_indices, plan.n_slices
    (3, 4, 1)
    """

    tree: Tree
    dtype: np.dtype[Any]
    threads: int | None = None
    strip_exponent: bool = False
    labels: tuple[Hashable, ...] | None = None
    search: str | None = field(default=None, compare=False)
    seconds: float | None = field(default=None, compare=False)

    @property
    def expr(self) -> Expr:
        """The network that is contracted."""
        return self.tree.expr

    @property
    def path(self) -> list[tuple[int, ...]]:
        """The steps as an opt_einsum path: positions in a list that shrinks."""
        return self.tree.path

    @property
    def ssa_path(self) -> tuple[tuple[int, int], ...]:
        """The steps as pairs of ids: inputs count from 0, step t makes id n_tensors + t."""
        return self.tree.ssa_path

    @property
    def macs(self) -> int:
        """Scalar multiply-adds of the whole contraction, all slices together."""
        return self.tree.macs

    @property
    def max_size(self) -> int:
        """Entries of the largest intermediate or output within a slice."""
        return self.tree.max_size

    @property
    def width(self) -> float:
        """log2 of `max_size`."""
        return self.tree.width

    @property
    def n_slices(self) -> int:
        """How many slices are summed or put side by side."""
        return self.tree.n_slices

    @property
    def sliced(self) -> tuple[Hashable, ...]:
        """Labels of the sliced indices, outermost loop first."""
        return tuple([self._label(i) for i in self.tree.sliced])

    @property
    def n_tensors(self) -> int:
        """The number of operands."""
        return len(self.expr.inputs)

    @property
    def n_indices(self) -> int:
        """The number of distinct indices."""
        return len(self.expr.sizes)

    @property
    def peak_memory(self) -> int:
        """Exact bytes of a run on operands in C order, the result included and the operands not."""
        return self.compile().memory_required

    def compile(
        self,
        dtype: DTypeLike | None = None,
        threads: int | None = None,
        strip_exponent: bool | None = None,
    ) -> Program:
        """The Program that runs this plan; what is left out is as the plan was made.

        Raises:
            TypeError: no kernels for this dtype.
        """
        return lower(
            self.tree,
            self.dtype if dtype is None else dtype,
            threads=self.threads if threads is None else threads,
            strip_exponent=self.strip_exponent if strip_exponent is None else strip_exponent,
        )

    def run(
        self,
        arrays: Sequence[Any],
        *,
        out: Array | None = None,
        backend: Any = None,
        progress: Progress = None,
        executor: Any = None,
        checkpoint: str | os.PathLike[str] | None = None,
    ) -> Any:
        """Contract these arrays, in their own result dtype.

        Args:
            arrays: one per operand, of the shapes of the network.
            out, progress, executor, checkpoint: as for a Program; of these, other libraries'
                arrays know `progress` only.
            backend: None for our kernels; "torch", "jax", "cupy" or any other library of arrays, by
                its name or its namespace, to run there (on GPUs, or to differentiate); "auto" for
                the library whose arrays these are.

        Returns:
            an array of NumPy (a Tensor if an operand is one and there is no `out`) or of that
            library, or ``(mantissa, exponent)`` if `strip_exponent`.

        Raises:
            ShapeError, TypeError: arrays or options that do not fit the network or the backend.
            ImportError: the library is not installed.
        """
        library = find_library(backend, arrays)
        if library is not None:
            ours = {"out=": out, "executor=": executor, "checkpoint=": checkpoint}
            asked = [option for option, value in ours.items() if value is not None]
            for option in [*asked, *["strip_exponent"] * self.strip_exponent]:
                raise TypeError(f"{option} is not there on backend {library.name}, only on NumPy's")
            return run_calls(self.tree, arrays, library, progress)
        operands = as_arrays(arrays)
        dtype = result_dtype([a.dtype for a in operands], None, "safe") if operands else None
        program = self.compile(dtype)
        ready = arrays if any_tensor(arrays) else converted(operands, program.dtype)
        return program(*ready, out=out, progress=progress, executor=executor, checkpoint=checkpoint)

    def table(self, sort: str = "step", top: int | None = None, style: str = "text") -> str:
        """The steps, one row each: indices and shapes that meet, macs, entries of the result.

        Macs are those of all slices; "so far" is the share of this row and those above it.

        Args:
            sort: "step" for the order in which they run, "macs" or "size" for the largest first.
            top: how many to show; None for all.
            style: "text" or "markdown".

        Raises:
            ValueError: an order or a style that does not exist, or a negative `top`.

        >>> import tensornet
        >>> plan = tensornet.plan(["ab", "bc", "cd"], "ad", dict(a=2, b=3, c=4, d=5))
        >>> print(plan.table(sort="macs", top=1))
        step  contraction  shapes                 macs  size  share  so far
           1  ac,cd->ad    2 x 4, 4 x 5 -> 2 x 5    40    10  62.5%   62.5%
        <BLANKLINE>
        and 1 more, with 37.5% of the macs
        """
        return table(self.tree, self.labels, sort, top, style)

    def draw(self, kind: str = "tree", ax: Axes | None = None) -> Axes:
        """Draw the tree with matplotlib (the extra `plot`); returns the axes and shows nothing.

        Args:
            kind: "tree" for steps above operands, lines as thick as tensors are large; "ring" for
                operands on a circle in the order of the tree, indices between them. Colours
                tell the macs of the step; sliced indices are dotted.
            ax: matplotlib axes to draw on; new ones if left out.

        Raises:
            ValueError: no such kind.
            ImportError: matplotlib is not installed.
        """
        from .drawing import draw

        return draw(self.tree, kind, ax)

    def __str__(self) -> str:
        return self._summary().text()

    def _repr_html_(self) -> str:
        return self._summary().html()

    def _summary(self) -> Summary:
        try:
            peak = f"{format_bytes(self.peak_memory)} as {self.dtype}"
        except MemoryLimitError as error:
            peak = str(error)
        return summary(self.tree, self.sliced, peak, self.search, self.seconds)

    def to_json(self) -> str:
        """The plan as JSON text.

        Raises:
            PlanError: a label that JSON cannot hold; strings, numbers and tuples of them can be.
        """
        labels = None if self.labels is None else [_label_to_json(x) for x in self.labels]
        fields = {
            "format": _FORMAT,
            "version": _VERSION,
            "dtype": self.dtype.name,
            "threads": self.threads,
            "strip_exponent": self.strip_exponent,
            "labels": labels,
            "search": self.search,
            "seconds": self.seconds,
            "tree": self.tree.to_dict(),
        }
        return json.dumps(fields)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write `to_json` to a file, which is there as a whole or as it was before."""
        text = self.to_json()
        with replacing(path) as draft:
            draft.write_text(text + "\n", encoding="utf-8")

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """The plan that `to_json` wrote.

        Raises:
            FormatError: text that is no plan, or of a version that this release cannot read.
            PlanError: a tree that does not contract its network.
        """
        try:
            fields = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise FormatError(f"a saved plan must be JSON: {error}") from None
        if not isinstance(fields, dict) or fields.get("format") != _FORMAT:
            raise FormatError(f'not a saved plan: the JSON object lacks "format": "{_FORMAT}"')
        if fields.get("version") != _VERSION:
            raise FormatError(
                f"the plan has version {fields.get('version')!r}, this release reads {_VERSION}"
            )
        return cls._from_fields(fields)

    @classmethod
    def _from_fields(cls, fields: dict[str, Any]) -> Plan:
        try:
            tree = Tree.from_dict(fields["tree"])
            dtype = check_dtype(fields["dtype"])
            threads = check_threads(fields["threads"])
            strip, saved = fields["strip_exponent"], fields["labels"]
            search = None if fields.get("search") is None else str(fields["search"])
            seconds = None if fields.get("seconds") is None else float(fields["seconds"])
        except PlanError:
            raise
        except KeyError as error:
            raise FormatError(f"the plan lacks the field {error}") from None
        except (TypeError, ValueError) as error:
            raise FormatError(f"a field of the plan is malformed: {error}") from None
        if not isinstance(strip, bool) or not (saved is None or isinstance(saved, list)):
            raise FormatError('"strip_exponent" must be true or false, "labels" a list or null')
        labels = None if saved is None else tuple([_label_from_json(x) for x in saved])
        if labels is not None and len(labels) != len(tree.expr.sizes):
            raise FormatError(f"the plan has {len(labels)} labels, {len(tree.expr.sizes)} indices")
        return cls(tree, dtype, threads, strip, labels, search, seconds)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Plan:
        """Read a file that `save` wrote; raises as `from_json` does, naming the file."""
        with open(path, "rb") as file:
            saved = file.read()
        try:
            return cls.from_json(saved.decode())
        except UnicodeDecodeError:
            raise FormatError(f"{os.fspath(path)}: a saved plan must be text") from None
        except (FormatError, PlanError) as error:
            raise type(error)(f"{os.fspath(path)}: {error}") from None

    def _label(self, index: int) -> Hashable:
        return index if self.labels is None else self.labels[index]


def _label_to_json(label: Hashable) -> Any:
    if isinstance(label, tuple):
        return [_label_to_json(x) for x in label]
    if isinstance(label, np.generic):
        label = label.item()
    if isinstance(label, (str, int, float)):
        return label
    raise PlanError(f"label {label!r} cannot be saved: use strings, numbers or tuples of them")


def _label_from_json(saved: Any) -> Hashable:
    if isinstance(saved, list):
        return tuple([_label_from_json(x) for x in saved])
    if isinstance(saved, (str, int, float)):
        return saved
    raise FormatError(f"the plan has the label {saved!r}: not a string, a number or a list")
