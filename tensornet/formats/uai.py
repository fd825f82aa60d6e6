"""Graphical models in the UAI competition format, with evidence applied by slicing.

A model is a list of numbers: its type, the number of variables and the cardinality of each; the
number of factors and the variables of each; then for each factor the number of entries of its
table and the entries, the last variable changing fastest. The contraction of all tables is the
partition function (for a Bayesian network, the probability of the evidence).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from math import prod
from typing import NoReturn

import numpy as np

from ..expr import Expr, from_labels
from .text import Source, Text, read_text

__all__ = ["Model", "read_uai"]

MAX_AXES = 32  # what every NumPy can hold

_Scope = tuple[int, ...]


@dataclass(frozen=True)
class Model:
    """A model with its evidence applied.

    Attributes:
        name: the file's base name.
        kind: "MARKOV" or "BAYES".
        cardinalities: the number of values of each variable.
        evidence: the observed variables and their values, sorted by variable.
        expr: the network of the sliced tables; its contraction is the partition function.
        arrays: the sliced tables, float64, read-only.
        variables: the variable of each index of `expr`.
    """

    name: str
    kind: str
    cardinalities: tuple[int, ...]
    evidence: tuple[tuple[int, int], ...]
    expr: Expr
    arrays: tuple[np.ndarray, ...]
    variables: tuple[int, ...]

    def with_evidence(
        self, sets: Sequence[Mapping[int, int]]
    ) -> tuple[Expr, dict[int, np.ndarray], list[list[np.ndarray]]]:
        """The network of the partition functions for many sets of evidence, for `Program.map`.

        Each set maps variables to values, besides what is observed already. The variables of any
        set get a vector more: ones, or where they are observed a one at their value. Plan with
        ``plan_expr(expr, constants=constants, runs=len(sets))``.

        Returns:
            The network; the constant arrays by position; for each set the other arrays.

        Raises:
            ValueError: a variable or value that does not exist, or a variable observed already.

        >>> import io
        >>> model = read_uai(io.StringIO("MARKOV 2  2 3  1  2 0 1  6  1 2 3 4 5 6"), {})
        >>> expr, constants, batches = model.with_evidence([{}, {0: 1}, {0: 0}])
        >>> [[vector.tolist() for vector in batch] for batch in batches]
        [[[1.0, 1.0]], [[0.0, 1.0]], [[1.0, 0.0]]]
        """
        before = {variable for variable, _ in self.evidence}
        for each in sets:
            for variable in _check_mapping(each, self.cardinalities):
                if variable in before:
                    raise ValueError(f"variable {variable} of the model is observed already")
        index = {variable: i for i, variable in enumerate(self.variables)}
        free = sorted({variable for each in sets for variable in each})
        terms = [(index[v],) if v in index else () for v in free]
        expr = Expr((*self.expr.inputs, *terms), (), self.expr.sizes)
        batches = [[self._indicator(v, each.get(v), v in index) for v in free] for each in sets]
        return expr, dict(enumerate(self.arrays)), batches

    def _indicator(self, variable: int, value: int | None, has_index: bool) -> np.ndarray:
        card = self.cardinalities[variable]
        if not has_index:  # it is in no factor: the network counts its values
            return np.array(1.0 if value is None else 1.0 / card)
        vector = np.full(card, 1.0 if value is None else 0.0)
        if value is not None:
            vector[value] = 1.0
        return vector


class _Reader:
    """Takes the tokens of a file one after the other and knows where it stands."""

    def __init__(self, text: Text) -> None:
        self.text = text
        self.tokens = text.body.split()
        self.next = 0

    def fail_at(self, token: int, message: str) -> NoReturn:
        """Raise FormatError for the line of the token number `token`."""
        self.text.fail(self.text.line_of_token(token), message)

    def count(self, what: str, most: int | None = None) -> int:
        """The next token as a whole number, at most `most`; `what` names it in errors."""
        if self.next >= len(self.tokens):
            self.fail_at(self.next, f"the file ends before {what}")
        token = self.tokens[self.next]
        if not (token.isascii() and token.isdigit() and len(token) < 19):
            self.fail_at(self.next, f"expected {what} (a whole number), found {token[:40]!r}")
        value = int(token)
        if most is not None and value > most:
            self.fail_at(self.next, f"{what} is {value}, but the largest possible is {most}")
        self.next += 1
        return value

    def reals(self, n: int, what: str) -> np.ndarray:
        """The next `n` tokens as finite numbers that are not negative, shape (n,)."""
        left = len(self.tokens) - self.next
        if n > left:
            self.fail_at(
                len(self.tokens), f"the file ends inside {what}: {left} of {n} entries are there"
            )
        chunk = self.tokens[self.next : self.next + n]
        try:
            values = np.array(chunk, dtype=np.float64)
            good = np.isfinite(values) & (values >= 0)
        except ValueError:
            good = np.array([_is_number(token) for token in chunk])
        if not good.all():
            bad = int(np.argmin(good))
            self.fail_at(
                self.next + bad,
                f"entry {bad} of {what} is {chunk[bad][:40]!r}; expected a finite number >= 0",
            )
        self.next += n
        return values

    def end(self, what: str) -> None:
        if self.next < len(self.tokens):
            token = self.tokens[self.next]
            self.fail_at(self.next, f"expected the end of {what}, found {token[:40]!r}")


def read_uai(source: Source, evidence: Source | Mapping[int, int] | None = None) -> Model:
    """Read a model and its evidence.

    Args:
        source: the model, a path (gzipped or not) or an open file.
        evidence: a path or open file in either layout (`K v x …`, or the same after the sample
            count 1), or a mapping from variable to value. None takes `NAME.uai.evid` next to
            the model where there is one; an empty mapping means no evidence.

    Returns:
        The model. A variable in no factor multiplies the partition function by its cardinality.

    Raises:
        FormatError: names the file, the line and what is wrong there.
        ValueError: a mapping that observes unknown variables or values.
        OSError: a file cannot be opened.

    >>> import io
    >>> model = read_uai(io.StringIO("MARKOV 2  2 3  1  2 0 1  6  1 2 3 4 5 6"), {0: 1})
    >>> model.arrays[0].tolist(), model.expr.inputs
    ([4.0, 5.0, 6.0], ((0,),))
    """
    text = read_text(source)
    reader = _Reader(text)
    kind = _read_kind(reader)
    n = reader.count("the number of variables")
    cards = tuple([_cardinality(reader, v) for v in range(n)])
    scopes = _read_scopes(reader, n)
    tables = _read_tables(reader, scopes, cards)
    reader.end("the model (all tables are complete)")
    if isinstance(evidence, Mapping):
        observed = _check_mapping(evidence, cards)
    else:
        found = _beside(source) if evidence is None else evidence
        observed = {} if found is None else _read_evidence(read_text(found), cards)
    expr, arrays, variables = _slice(scopes, tables, cards, observed)
    evidences = tuple(sorted(observed.items()))
    return Model(text.stem, kind, cards, evidences, expr, arrays, variables)


def _read_kind(reader: _Reader) -> str:
    kind = reader.tokens[0].upper() if reader.tokens else ""
    if not kind:
        reader.text.fail(None, "empty file; the first word must be MARKOV or BAYES")
    if kind not in ("MARKOV", "BAYES"):
        reader.fail_at(0, f"the first word must be MARKOV or BAYES, found {kind[:40]!r}")
    reader.next = 1
    return kind


def _cardinality(reader: _Reader, variable: int) -> int:
    card = reader.count(f"the cardinality of variable {variable}")
    if card == 0:
        reader.fail_at(reader.next - 1, f"variable {variable} has cardinality 0")
    return card


def _read_scopes(reader: _Reader, n_variables: int) -> list[_Scope]:
    scopes = []
    for factor in range(reader.count("the number of factors")):
        most = min(n_variables, MAX_AXES)
        size = reader.count(f"the number of variables of factor {factor}", most)
        scope: list[int] = []
        for _ in range(size):
            variable = reader.count(f"a variable of factor {factor}", n_variables - 1)
            if variable in scope:
                reader.fail_at(reader.next - 1, f"factor {factor} names variable {variable} twice")
            scope.append(variable)
        scopes.append(tuple(scope))
    return scopes


def _read_tables(reader: _Reader, scopes: list[_Scope], cards: _Scope) -> list[np.ndarray]:
    tables = []
    for factor, scope in enumerate(scopes):
        entries = reader.count(f"the number of entries of table {factor}")
        shape = [cards[v] for v in scope]
        if entries != prod(shape):
            reader.fail_at(
                reader.next - 1,
                f"table {factor} has {entries} entries, but its variables {scope} "
                f"with cardinalities {tuple(shape)} need {prod(shape)}",
            )
        tables.append(reader.reals(entries, f"table {factor}").reshape(shape))
    return tables


def _beside(source: Source) -> str | None:
    """The evidence file next to the model at the path `source`, where there is one."""
    if not isinstance(source, (str, os.PathLike)):
        return None
    name = os.fspath(source)
    for path in (name + ".evid", name.removesuffix(".gz") + ".evid"):
        if os.path.exists(path):
            return path
    return None


def _read_evidence(text: Text, cards: _Scope) -> dict[int, int]:
    """Read `K v x …`, or the same after a sample count of 1.

    The first layout has an odd number of words and the second an even one.
    """
    reader = _Reader(text)
    observations = reader.count("the number of observations")
    if observations == 1 and len(reader.tokens) % 2 == 0:
        observations = reader.count("the number of observations")
    elif len(reader.tokens) != 1 + 2 * observations and _are_samples(reader.tokens):
        reader.fail_at(0, f"{observations} samples of evidence; keep one of them in the file")
    observed: dict[int, int] = {}
    for _ in range(observations):
        variable = reader.count("an observed variable", len(cards) - 1)
        if variable in observed:
            reader.fail_at(reader.next - 1, f"variable {variable} is observed twice")
        observed[variable] = reader.count(f"the value of variable {variable}", cards[variable] - 1)
    reader.end(f"the evidence ({observations} observations)")
    return observed


def _are_samples(tokens: list[str]) -> bool:
    """Whether the words are a sample count and exactly that many samples `K v x …`."""
    start = 1
    for _ in range(int(tokens[0])):
        if start >= len(tokens) or not tokens[start].isdecimal():
            return False
        start += 1 + 2 * int(tokens[start])
    return start == len(tokens)


def _check_mapping(evidence: Mapping[int, int], cards: _Scope) -> dict[int, int]:
    for variable, value in evidence.items():
        if not 0 <= variable < len(cards):
            raise ValueError(f"variable {variable} is not one of the {len(cards)} of the model")
        if not 0 <= value < cards[variable]:
            raise ValueError(
                f"variable {variable} has the values 0 to {cards[variable] - 1}, not {value}"
            )
    return dict(evidence)


def _slice(
    scopes: list[_Scope], tables: list[np.ndarray], cards: _Scope, observed: Mapping[int, int]
) -> tuple[Expr, tuple[np.ndarray, ...], tuple[int, ...]]:
    """The network that is left when every observed variable has its value."""
    terms = [[v for v in scope if v not in observed] for scope in scopes]
    arrays = [
        table[tuple([observed.get(v, slice(None)) for v in scope])]
        for scope, table in zip(scopes, tables)
    ]
    in_factor = {v for term in terms for v in term}
    for variable, card in enumerate(cards):
        if variable not in in_factor and variable not in observed:
            terms.append([])
            arrays.append(np.array(float(card)))
    frozen = tuple([np.asarray(array) for array in arrays])
    for array in frozen:
        array.flags.writeable = False
    variables = tuple(dict.fromkeys(chain.from_iterable(terms)))  # as from_labels numbers them
    return from_labels(terms, (), dict(enumerate(cards))), frozen, variables


def _is_number(token: str) -> bool:
    try:
        return 0 <= float(token) < float("inf")
    except ValueError:
        return False
