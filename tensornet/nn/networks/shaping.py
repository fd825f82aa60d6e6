"""Networks that make the last axis shorter or longer by a power, or mix its factors."""

from __future__ import annotations

from typing import Any

from ...errors import ShapeError
from .base import DenseNetwork, Wiring
from .factors import power_root

__all__ = ["DenseCondenser", "DenseEntangler", "DenseExpander"]


class DenseCondenser(DenseNetwork):
    """A dense layer that shortens the last axis by ``exp_base ** num_nodes``.

    The inputs are num_nodes axes of extent exp_base and one of the units; a chain of cores, each
    with one of these axes, takes them away one after the other. google/TensorNetwork has a Keras
    layer of this name.

    Args:
        exp_base: by which each core shortens the axis.
        num_nodes: how many cores.
        activation, use_bias, kernel_initialiser, bias_initialiser: as for `DenseMPO`.

    Shapes: x (..., exp_base ** num_nodes * units), cores (units, exp_base, units), result (...,
    units).

    Raises, when called:
        ShapeError: inputs whose extent is not a multiple of that power.

    >>> import numpy as np
    >>> DenseCondenser(2, 3, seed=0)(np.ones((5, 40), np.float32)).shape
    (5, 5)
    """

    def __init__(self, exp_base: int, num_nodes: int, **options: Any) -> None:
        super().__init__(**options)
        self.exp_base, self.num_nodes = _checked(exp_base, num_nodes)

    def wire(self, inputs: int) -> Wiring:
        base, count = self.exp_base, self.num_nodes
        units, rest = divmod(inputs, base**count)
        if rest or not units:
            raise ShapeError(
                f"{self.label} expects a last axis whose extent is a multiple of {base**count} = "
                f"{base} ** {count}, not {inputs}"
            )
        sizes: dict[Any, int] = {("bond", k): units for k in range(count + 1)}
        legs = [("leg", k) for k in range(count)]
        sizes.update(dict.fromkeys(legs, base))
        cores = [(("bond", k), leg, ("bond", k + 1)) for k, leg in enumerate(legs)]
        return Wiring(cores, (*legs, ("bond", 0)), (("bond", count),), sizes)


class DenseExpander(DenseNetwork):
    """A dense layer that lengthens the last axis by ``exp_base ** num_nodes``.

    The mirror image of `DenseCondenser`, with the same arguments.

    Shapes: x (..., inputs), cores (inputs, exp_base, inputs), result (..., inputs * exp_base **
    num_nodes).

    >>> import numpy as np
    >>> DenseExpander(2, 3, seed=0)(np.ones((4, 5), np.float32)).shape
    (4, 40)
    """

    def __init__(self, exp_base: int, num_nodes: int, **options: Any) -> None:
        super().__init__(**options)
        self.exp_base, self.num_nodes = _checked(exp_base, num_nodes)

    def wire(self, inputs: int) -> Wiring:
        count = self.num_nodes
        sizes: dict[Any, int] = {("bond", k): inputs for k in range(count + 1)}
        legs = [("leg", k) for k in range(count)]
        sizes.update(dict.fromkeys(legs, self.exp_base))
        cores = [(("bond", k), leg, ("bond", k + 1)) for k, leg in enumerate(legs)]
        return Wiring(cores, (("bond", 0),), (*legs, ("bond", count)), sizes)


def _checked(exp_base: int, num_nodes: int) -> tuple[int, int]:
    if exp_base < 1 or num_nodes < 1:
        raise ValueError(f"{exp_base} ** {num_nodes} is no power that an axis can change by")
    return exp_base, num_nodes


class DenseEntangler(DenseNetwork):
    """A dense layer of gates on neighbouring legs, as in a quantum circuit.

    The inputs are num_legs axes of equal extent. A level is a staircase of gates, each on two
    neighbouring legs; the last level changes the extent of the legs to that of the result.
    google/TensorNetwork has a Keras layer of this name.

    Args:
        units: extent of the result, a power of num_legs.
        num_legs: how many legs, at least 2.
        num_levels: how many staircases, at least 1.
        activation, use_bias, kernel_initialiser, bias_initialiser: as for `DenseMPO`.

    Shapes: x (..., leg ** num_legs), cores (leg, leg, leg, leg): two that come in and two that go
    out; result (..., units).

    Raises:
        ValueError: numbers that make no network.
        ShapeError: inputs whose extent is no such power, when called.

    >>> import numpy as np
    >>> layer = DenseEntangler(16, num_legs=4, num_levels=2, seed=0)
    >>> layer(np.ones((3, 81), np.float32)).shape
    (3, 16)
    """

    def __init__(self, units: int, num_legs: int, num_levels: int = 1, **options: Any) -> None:
        super().__init__(**options)
        if num_legs < 2 or num_levels < 1:
            raise ValueError(f"{num_levels} levels of gates on {num_legs} legs make no network")
        self.units = units
        self.num_legs = num_legs
        self.num_levels = num_levels
        self.output_leg = power_root(units, num_legs, "units of a DenseEntangler")

    def wire(self, inputs: int) -> Wiring:
        leg = power_root(inputs, self.num_legs, self.label)
        here = [("leg", k, 0) for k in range(self.num_legs)]
        begin = tuple(here)
        sizes: dict[Any, int] = dict.fromkeys(here, leg)
        cores: list[tuple[Any, ...]] = []
        for level in range(self.num_levels):
            for k in range(self.num_legs - 1):
                before = here[k], here[k + 1]
                for position in (k, k + 1):
                    _, number, age = here[position]
                    here[position] = "leg", number, age + 1
                    is_last = level == self.num_levels - 1 and (
                        position == k or k == self.num_legs - 2
                    )
                    sizes[here[position]] = self.output_leg if is_last else leg
                cores.append((*before, here[k], here[k + 1]))
        return Wiring(cores, begin, tuple(here), sizes)
