"""Optimiser: what all of them share. Gradients are computed, perhaps edited, and applied."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ..autodiff import GradientTape, stop_gradient
from ..errors import ShapeError
from ..records import Outline
from ..tape import Tensor
from .clipping import Gradients, clip_by_global_norm, clip_by_value
from .module import Module
from .parameter import is_trainable, thaw
from .schedules import Rate, rate_at
from .state import check_arrays, outline_of

__all__ = ["Array", "Optimiser"]

Array = np.ndarray[Any, Any]

_COUNT = Outline((), np.dtype(np.int64))


class _Moved:
    """What an optimiser remembers of a variable: how often it moved, and arrays of its shape."""

    __slots__ = ("count", "slots", "variable")

    def __init__(self, variable: Tensor, slots: list[Array]) -> None:
        self.variable = variable
        self.slots = slots
        self.count = 0


class Optimiser:
    """Moves variables against their gradients.

    A variable whose gradient is None, or that is frozen, does not move: neither by momentum nor by
    weight decay; what is remembered of it stays as it is, too.

    Args:
        learning_rate: a number, or a function of the step, such as those of
            `tensornet.nn.schedules`.
        weight_decay: so many times the variable is added to its gradient, before anything else;
            AdamW takes it off the variable instead.
        clip_value: limit of the entries of gradients, see `clip_by_value`.
        clip_norm: limit of the norm of all gradients together, see `clip_by_global_norm`.

    Attributes:
        step: how many times gradients have been applied.
        slots: names of the arrays that are remembered of each variable.
        block: entries that are updated at a time. What several passes read and write of so many
            stays in the second cache, so that memory is passed over once.
    """

    slots: tuple[str, ...] = ()
    block: int = 16384

    def __init__(
        self,
        learning_rate: Rate,
        weight_decay: float = 0.0,
        clip_value: float | None = None,
        clip_norm: float | None = None,
    ) -> None:
        if weight_decay < 0:
            raise ValueError(f"weight_decay is not negative, unlike {weight_decay}")
        if not callable(learning_rate) and not learning_rate >= 0:
            raise ValueError(f"a learning rate is not negative, unlike {learning_rate}")
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.clip_value = clip_value
        self.clip_norm = clip_norm
        self.step = 0
        self._moved: dict[int, _Moved] = {}

    @property
    def rate(self) -> float:
        """The learning rate of the next step."""
        return rate_at(self.learning_rate, self.step)

    # Gradients

    def minimize(self, loss: Callable[[], Any], variables: Module | Iterable[Tensor]) -> Tensor:
        """One step: exactly `compute_gradients`, then `apply_gradients`.

        Returns:
            the loss before the step.
        """
        value, gradients = self._differentiate(loss, variables)
        self.apply_gradients(gradients)
        return value

    def compute_gradients(
        self, loss: Callable[[], Any], variables: Module | Iterable[Tensor]
    ) -> Gradients:
        """The gradients of a loss, to be masked or edited before they are applied.

        Args:
            loss: a function without arguments that returns one real number.
            variables: Tensors; or a Module, for its trainable parameters, also those that it makes
                when it is called first.

        Returns:
            a list of (gradient, variable), each variable once; the gradient is None where the loss
            does not depend on the variable, or it is frozen.

        Raises:
            ShapeError: a loss that is not a single number.
        """
        return self._differentiate(loss, variables)[1]

    def _differentiate(
        self, loss: Callable[[], Any], variables: Module | Iterable[Tensor]
    ) -> tuple[Tensor, Gradients]:
        model = variables if isinstance(variables, Module) else None
        known = _once(_parameters(variables))
        for variable in known:
            if is_trainable(variable):
                thaw(variable)
        with GradientTape() as tape:
            value = loss()
        if np.size(value) != 1:
            raise ShapeError(f"a loss is a single number, not an array of shape {np.shape(value)}")
        if model:
            known = _once(_parameters(model))
        free = [variable for variable in known if is_trainable(variable)]
        found = {id(v): g for v, g in zip(free, tape.gradient(value, free))}
        return Tensor(stop_gradient(value)), [(found.get(id(v)), v) for v in known]

    def apply_gradients(self, gradients: Iterable[tuple[Any, Tensor]]) -> None:
        """Move variables, in place.

        Args:
            gradients: pairs as `compute_gradients` returns them.

        Raises:
            ShapeError: a gradient of another shape than its variable's; nothing has moved.
            ValueError: a variable that is there twice; nothing has moved.

        Complexity: what is remembered, the gradient and the variable are read once and written
        once; no memory beyond what is remembered.
        """
        pairs = _checked(gradients)
        if self.clip_value is not None:
            pairs = clip_by_value(pairs, self.clip_value)
        if self.clip_norm is not None:
            pairs = clip_by_global_norm(pairs, self.clip_norm)
        rate = self.rate
        for gradient, variable in pairs:
            moved = self._moved.get(id(variable))
            if moved is None:
                moved = _Moved(variable, self._fresh(variable))
                self._moved[id(variable)] = moved
            moved.count += 1
            self._move(variable.array, np.asarray(gradient, variable.dtype), moved, rate)
        self.step += 1

    def _fresh(self, variable: Tensor) -> list[Array]:
        """What is remembered of a variable that has not moved."""
        return [np.zeros(variable.shape, variable.dtype) for _ in self.slots]

    def _move(self, variable: Array, gradient: Array, moved: _Moved, rate: float) -> None:
        whole = np.ascontiguousarray(variable)
        given = np.ascontiguousarray(gradient)
        arrays = [_flat(array) for array in (whole, given, *moved.slots)]
        scratch = [np.empty_like(arrays[0][: self.block]) for _ in range(2)]
        for start in range(0, len(arrays[0]), self.block):
            parts = [array[start : start + self.block] for array in arrays]
            spare = [array[: len(parts[0])] for array in scratch]
            self._update(parts[0], parts[1], parts[2:], spare, rate, moved.count)
        if not variable.flags.c_contiguous:
            variable[...] = whole

    def _update(
        self,
        variable: Array,
        gradient: Array,
        slots: Sequence[Array],
        scratch: Sequence[Array],
        rate: float,
        count: int,
    ) -> None:
        """Move some entries; all arrays have one axis, and all but the gradient may be written.

        Args:
            count: how often the variable has moved, this time included.
        """
        raise TypeError(f"{type(self).__name__} has no method _update")

    def _decayed(self, variable: Array, gradient: Array, scratch: Array) -> Array:
        """The gradient, with weight decay added in scratch."""
        if not self.weight_decay:
            return gradient
        np.multiply(variable, self.weight_decay, out=scratch)
        return np.add(scratch, gradient, out=scratch)

    # State

    def state_dict(self, variables: Module | Mapping[str, Tensor]) -> dict[str, Array]:
        """Copies of all that it remembers, by name, for a checkpoint.

        Args:
            variables: a Module or a dict, for the names of variables.

        Returns:
            ``step``, ``learning_rate`` unless it is a schedule, and for each variable that has
            moved ``count/<name>`` and for example ``momentum/<name>``.
        """
        state: dict[str, Array] = {"step": np.array(self.step)}
        if not callable(self.learning_rate):
            state["learning_rate"] = np.array(self.learning_rate, np.float64)
        for name, variable in _named(variables).items():
            moved = self._moved.get(id(variable))
            if moved is not None:
                state[f"count/{name}"] = np.array(moved.count)
                for slot, array in zip(self.slots, moved.slots):
                    state[f"{slot}/{name}"] = array.copy()
        return state

    def load_state_dict(
        self, arrays: Mapping[str, Any], variables: Module | Mapping[str, Tensor]
    ) -> None:
        """Take over what `state_dict` has returned.

        Raises:
            CheckpointError: missing or unexpected names, or arrays of other shapes; it lists them
                all, and nothing has changed.
        """
        named = _named(variables)
        own = {"step": _COUNT}
        if "learning_rate" in arrays and not callable(self.learning_rate):
            own["learning_rate"] = Outline((), np.dtype(np.float64))
        known = [name for name in named if f"count/{name}" in arrays]
        for name in known:
            own[f"count/{name}"] = _COUNT
            own |= {f"{slot}/{name}": outline_of(named[name].array) for slot in self.slots}
        check_arrays(arrays, own, type(self).__name__)
        moved = {}
        for name in known:
            variable = named[name]
            found = [
                np.array(arrays[f"{slot}/{name}"], variable.dtype, order="C") for slot in self.slots
            ]
            each = moved[id(variable)] = _Moved(variable, found)
            each.count = int(arrays[f"count/{name}"])
        self._moved = moved
        self.step = int(arrays["step"])
        if "learning_rate" in own:
            self.learning_rate = float(arrays["learning_rate"])


def _named(variables: Module | Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    return variables.named_parameters() if isinstance(variables, Module) else variables


def _parameters(variables: Module | Iterable[Tensor]) -> Iterable[Tensor]:
    return variables.trainable_parameters() if isinstance(variables, Module) else variables


def _once(variables: Iterable[Tensor]) -> list[Tensor]:
    return list({id(variable): variable for variable in variables}.values())


def _flat(array: Array) -> Array:
    """All entries on one axis, complex ones as pairs; a view of contiguous arrays."""
    flat = array.reshape(-1)
    return flat.view(flat.real.dtype) if flat.dtype.kind == "c" else flat


def _checked(gradients: Iterable[tuple[Any, Tensor]]) -> Gradients:
    """The pairs of gradients that are there and variables that may move."""
    pairs, seen = [], set()
    for gradient, variable in gradients:
        if id(variable) in seen:
            raise ValueError(f"the variable of shape {variable.shape} is among these twice")
        seen.add(id(variable))
        if gradient is None or not is_trainable(variable):
            continue
        if np.shape(gradient) != variable.shape:
            raise ShapeError(
                f"a gradient of shape {np.shape(gradient)} for a variable of shape {variable.shape}"
            )
        pairs.append((gradient, variable))
    return pairs
