"""Layers made of layers or functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from ..module import Module
from .exchange import convolve_and_pool, may_exchange

__all__ = ["Lambda", "Sequential"]


class Lambda(Module):
    """Any function as a layer; parameters that it uses are not found through it.

    >>> Lambda(lambda x: 2 * x)(np.ones(2))
    array([2., 2.])
    """

    def __init__(self, function: Callable[..., Any], **options: Any) -> None:
        super().__init__(**options)
        self.function = function

    def forward(self, *inputs: Any) -> Any:
        return self.function(*inputs)


class Sequential(Module):
    """Layers, each of which takes what the one before returns.

    Args:
        layers: modules; functions become `Lambda` layers. A layer that is there twice shares its
            parameters.
        name, dtype, seed, trainable: as for every `Module`; with a seed, all initial values are the
            same each time.

    >>> from tensornet import nn
    >>> model = nn.Sequential([nn.Dense(8, activation="relu"), nn.Dense(2)], seed=0)
    >>> model(np.zeros((5, 3), np.float32)).shape
    (5, 2)
    >>> len(model), model.count_parameters()
    (2, 50)
    """

    def __init__(self, layers: Iterable[Callable[..., Any]] = (), **options: Any) -> None:
        super().__init__(**options)
        self.layers: list[Module] = []
        for layer in layers:
            self.add(layer)

    def add(self, layer: Callable[..., Any]) -> None:
        """Put another layer at the end."""
        if not callable(layer):
            raise TypeError(f"a layer is a Module or a function, not {type(layer).__name__}")
        self.layers.append(layer if isinstance(layer, Module) else Lambda(layer))
        self._ready = False  # for its seed and dtype
        if not self.trainable:
            self.layers[-1].trainable = False

    @property
    def input_dtype(self) -> np.dtype[Any]:
        return self.layers[0].input_dtype if self.layers else self.dtype

    def forward(self, x: Any) -> Any:
        layers, place = self.layers, 0
        while place < len(layers):
            layer, *rest = layers[place : place + 2]
            if rest and may_exchange(layer, rest[0]):
                x = convolve_and_pool(layer, rest[0], x)
                place += 2
            else:
                x = layer(x)
                place += 1
        return x

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Module]:
        return iter(self.layers)

    def __getitem__(self, place: int) -> Module:
        return self.layers[place]
