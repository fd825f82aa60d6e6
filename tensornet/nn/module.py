"""Module: what holds parameters and computes with them; every layer and model is one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any, TypeVar

import numpy as np
from numpy.typing import DTypeLike

from ..arrays import check_dtype
from ..autodiff import no_grad
from ..errors import ShapeError
from ..tape import Tensor
from .initialisers import Initialiser, initial
from .members import arrays_of, load_arrays, members_of, modules_of, parts_of
from .parameter import freeze, is_trainable, recast, thaw
from .randomness import Seed, child_seed, generator_of
from .summary import Summary, summarise
from .trainable import Trainable

__all__ = ["Module", "Shape"]

Shape = Sequence["int | None"]
Self = TypeVar("Self", bound="Module")


class Module(Trainable):
    """A function with parameters, to be subclassed: layers, models, and parts of them.

    A subclass makes its parts in ``__init__`` or `build`, and computes in `forward`:

    >>> from tensornet import nn
    >>> class Scale(nn.Module):
    ...     def build(self, input_shape):
    ...         self.add_parameter("factor", input_shape[-1:], "ones")
    ...     def forward(self, x):
    ...         return x * self.factor
    >>> scale = Scale()
    >>> scale(np.ones((2, 3), np.float32)).shape
    (2, 3)
    >>> list(scale.named_parameters())
    ['factor']

    What attributes hold, also in lists, tuples and dicts, says what they are: a Tensor is a
    parameter; a NumPy array (running statistics) or generator is state that is saved with the
    parameters, but never trained; a Module is a part. Attributes whose names begin with an
    underscore are private, and none of that. A parameter or part that is held twice counts once.

    Keras's users know `build`, `trainable` and `summary` (and `forward` as call); PyTorch's
    `train`, `eval` and `state_dict`. As in PyTorch a module begins in training mode.

    Args:
        name: for error messages; by default the path to it from the model that it is part of.
        dtype: of its parameters and inputs; by default that of the module that it is part of, and
            float32 for one that is part of none.
        seed: of its initial values and of all that is random in it; its parts draw from it,
            too, each another sequence, unless they have seeds of their own. Without a seed the
            operating system gives one: there is no global state.
        trainable: False to freeze it.

    Attributes:
        training: in training mode?
        built: have its own parameters been made?
    """

    name: str | None = None
    training: bool = True
    built: bool = False

    _seed: Seed | None = None
    _dtype: np.dtype[Any] | None = None
    _path: str | None = None
    _trainable = True
    _ready = False
    _generator: np.random.Generator | None = None
    _observer: Callable[..., Any] | None = None

    def __init__(
        self,
        *,
        name: str | None = None,
        dtype: DTypeLike | None = None,
        seed: Seed | None = None,
        trainable: bool = True,
    ) -> None:
        self.name = name
        self._dtype = None if dtype is None else check_dtype(dtype)
        self._seed = seed
        self._trainable = trainable

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "build" in cls.__dict__:
            cls.build = _building_once(cls.__dict__["build"])  # type: ignore[method-assign]

    # To be overridden

    def forward(self, *inputs: Any, **options: Any) -> Any:
        """What the module computes; call the module itself, which builds it if need be."""
        raise TypeError(f"{type(self).__name__} has no method forward, which a Module computes in")

    def build(self, input_shape: Shape) -> None:
        """Make the parameters for inputs of this shape, whose batch axis may be None.

        A subclass makes its own here, with `add_parameter`; it need not see to being called twice.
        That of a module that has none of its own runs it once, on zeros, which builds all parts.

        Raises:
            ShapeError: an unknown extent that matters.
        """
        self._dry_run(input_shape)

    def macs(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> int:
        """Scalar multiply-adds of its own, not of its parts, for inputs of this shape."""
        return 0

    @property
    def builds(self) -> bool:
        """Has it a method `build` of its own?"""
        return type(self).build is not Module.build

    @property
    def input_dtype(self) -> np.dtype[Any]:
        """Of the inputs that it takes: by default `dtype`."""
        return self.dtype

    # Calls

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """Compute, building the module for the shape of the first input if it has not been built.

        Results are Tensors where parameters or inputs are.
        """
        if not self._ready:
            self._prepare(inputs)
        if self._observer is not None:
            return self._observer(self, inputs, options)
        return self.forward(*inputs, **options)

    def _prepare(self, inputs: tuple[Any, ...]) -> None:
        """Before the first call: settle what the parts inherit, and build."""
        self._settle()
        if self.builds and not self.built and inputs:
            self.build(np.shape(inputs[0]))
        self._settle()
        self._ready = True

    def _settle(self) -> None:
        """Give parts that have none of their own a seed, a dtype and a path."""
        for place, (path, part) in enumerate(parts_of(self)):
            if part._path is None:
                part._path = path if self._path is None else f"{self._path}.{path}"
            if part._dtype is None and not part.built:
                part._dtype = self._dtype
            if part._seed is None and self._seed is not None:
                part._seed = child_seed(self._seed, place)
            if not part._ready:
                part._settle()
        for tensor in self._own_parameters():
            if is_trainable(tensor):
                thaw(tensor)  # those that came into lists later

    def _dry_run(self, input_shape: Shape) -> Any:
        """Compute with zeros, in place of None with 1, without a trace but built parameters."""
        shape = tuple([1 if extent is None else extent for extent in input_shape])
        with no_grad(), self._evaluating():
            self._settle()
            return self(np.zeros(shape, self.input_dtype))

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        modes = [(part, part.training) for _, part in modules_of(self)]
        self.eval()
        try:
            yield
        finally:
            for part, mode in modes:
                part.training = mode

    # Parameters

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the parameters."""
        return np.dtype(np.float32) if self._dtype is None else self._dtype

    @property
    def generator(self) -> np.random.Generator:
        """What initial values are drawn from, one after the other."""
        if self._generator is None:
            self._generator = generator_of(self._seed)
        return self._generator

    def add_parameter(
        self,
        name: str,
        shape: Sequence[int],
        initialiser: Initialiser = "glorot_uniform",
        trainable: bool = True,
    ) -> Tensor:
        """Make a parameter, the attribute `name`; Keras calls this add_weight.

        Args:
            initialiser: a name among `tensornet.nn.initialisers.INITIALISERS`, a function of shape
                and generator, or the entries.
            trainable: False to freeze it. In a frozen module it is frozen anyway.

        Raises:
            ShapeError: entries of another shape.
        """
        what = f"{name} of {self.label}"
        made = Tensor(initial(initialiser, shape, self.dtype, self.generator, what))
        setattr(self, name, made)
        if not trainable:
            freeze(made)
        return made

    def named_parameters(self) -> dict[str, Tensor]:
        """The parameters, frozen ones too, by their paths, such as ``layers.0.kernel``."""
        return {path: held for path, held in members_of(self) if type(held) is Tensor}

    def parameters(self) -> list[Tensor]:
        """The parameters, each once, frozen ones too."""
        return list(self.named_parameters().values())

    def trainable_parameters(self) -> list[Tensor]:
        """The parameters that are not frozen: what gradients are taken with respect to."""
        found = [tensor for tensor in self.parameters() if is_trainable(tensor)]
        for tensor in found:
            thaw(tensor)
        return found

    def count_parameters(self) -> int:
        """The number of entries of all parameters."""
        return sum([tensor.size for tensor in self.parameters()])

    @property
    def trainable(self) -> bool:
        """May its parameters change? Setting it freezes or thaws it and all that is in it."""
        return self._trainable

    @trainable.setter
    def trainable(self, trainable: bool) -> None:
        for _, part in modules_of(self):
            part._trainable = trainable
            part._adopt(part._own_parameters())

    def astype(self: Self, dtype: DTypeLike) -> Self:
        """Convert parameters and real or complex state to another dtype, in place.

        Raises:
            TypeError: a dtype that is not floating point.
        """
        target = check_dtype(dtype)
        if target.kind not in "fc":
            raise TypeError(f"parameters are floating point numbers, not {target}")
        for _, part in modules_of(self):
            part._dtype = target
            for tensor in part._own_parameters():
                recast(tensor, target)
            for key, held in vars(part).items():
                if type(held) is np.ndarray and held.dtype.kind in "fc":
                    setattr(part, key, held.astype(target))
        return self

    def _own_parameters(self) -> list[Tensor]:
        return [held for _, held in members_of(self, parts=False) if type(held) is Tensor]

    def _adopt(self, tensors: Sequence[Tensor]) -> None:
        for tensor in tensors:
            origin = tensor._origin
            if origin is not None and origin[0].function is not None:
                raise TypeError(
                    f"a Tensor that was computed while gradients are recorded is no parameter of "
                    f"{self.label}: keep it in an attribute that begins with an underscore"
                )
            (thaw if self._trainable else freeze)(tensor)

    def __setattr__(self, name: str, value: Any) -> None:
        if name[0] != "_" and isinstance(value, (Tensor, list, tuple, dict)):
            held = members_of([value], parts=False)
            self._adopt([each for _, each in held if type(each) is Tensor])
        object.__setattr__(self, name, value)

    def __setstate__(self, state: dict[str, Any]) -> None:
        for key, value in state.items():  # tapes watch copies, too
            setattr(self, key, value)

    # Modes

    def train(self: Self, mode: bool = True) -> Self:
        """Go into training mode, with all that is in it: Dropout drops, BatchNorm learns."""
        for _, part in modules_of(self):
            part.training = mode
        return self

    def eval(self: Self) -> Self:
        """Go into evaluation mode, with all that is in it; as PyTorch's method of this name."""
        return self.train(False)

    # State

    def state_dict(self) -> dict[str, np.ndarray[Any, Any]]:
        """Copies of all parameters and other state by their paths: what a checkpoint holds.

        The states of generators are 6 words of uint64.
        """
        return arrays_of(self)

    def load_state_dict(self, arrays: Mapping[str, Any]) -> None:
        """Take over what `state_dict` has returned, also that of a module of another dtype.

        Raises:
            CheckpointError: missing or unexpected names, arrays of other shapes or kinds; it lists
                them all, and nothing has changed. A module that has not been built has no names
                yet: `build` it first.
        """
        load_arrays(self, arrays)

    def summary(self, input_shape: Shape) -> Summary:
        """What it consists of: a table of output shapes, parameters and multiply-adds.

        Args:
            input_shape: of one input, whose batch axis may be None; macs are those of one example
                then. It is run once, on zeros, and built if it has not been.

        Returns:
            a `Summary`, which prints as a table.

        >>> from tensornet import nn
        >>> print(nn.Sequential([nn.Dense(3, seed=0)]).summary((None, 2)))
        layer         output     parameters  macs
        Sequential    (None, 3)           0     0
          0: Dense    (None, 3)           9     6
        total                             9     6
        """
        return summarise(self, input_shape, self._dry_run)

    # Words

    @property
    def label(self) -> str:
        """How errors call it.

        >>> Module(name="head").label
        "Module 'head'"
        """
        name = self.name or self._path
        return type(self).__name__ + (f" {name!r}" if name else "")

    def __repr__(self) -> str:
        return f"{self.label}, {self.count_parameters():,} parameters"

    def known_extent(self, shape: Shape, axis: int) -> int:
        """The extent of an axis that `build` needs to know.

        Raises:
            ShapeError: it is None, or there is no such axis.
        """
        try:
            extent = shape[axis]
        except IndexError:
            extent = None
        if extent is None:
            raise ShapeError(
                f"{self.label} needs to know the extent of axis {axis} of its inputs, and "
                f"{tuple(shape)} does not say"
            )
        return extent

    def check_input(self, x: Any, *shape: int | str) -> None:
        """Complain of an input of another dtype or shape than it takes.

        Args:
            shape: an extent per axis; a word, such as "batch", for any; "..." first for any number
                of axes.

        Raises:
            ShapeError, TypeError: they name this module and what it expects.
        """
        given = x.shape
        wanted = shape[1:] if shape[0] == "..." else shape
        tail = given[len(given) - len(wanted) :]
        fits = len(given) == len(shape) or (shape[0] == "..." and len(given) >= len(wanted))
        for want, extent in zip(wanted, tail):
            fits = fits and (type(want) is not int or want == extent)
        if not fits:
            raise ShapeError(
                f"{self.label} expects inputs of shape ({', '.join(map(str, shape))}), not {given}"
            )
        if x.dtype != self.input_dtype:
            raise TypeError(
                f"{self.label} expects inputs of dtype {self.input_dtype}, not {x.dtype}: convert "
                "them with tensornet.cast, or the module with .astype"
            )


def _building_once(build: Callable[..., None]) -> Callable[..., None]:
    """The method `build` of a subclass, which does nothing once the module has been built."""

    @wraps(build)
    def run(self: Module, input_shape: Shape) -> None:
        if not self.built:
            self._settle()
            build(self, tuple(input_shape))
            self.built = True

    return run
