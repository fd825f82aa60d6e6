"""Operations on arrays and Tensors: reshaped, computed with entry by entry, multiplied.

Each takes arrays of any library on the CPU, lists or Tensors, and returns a Tensor if an operand
is one, else a plain array. Importing this room gives `Tensor` its operators and methods.
"""

from __future__ import annotations

from ..tape import methods
from .builder import NconBuilder, finalize, label
from .elementwise import (
    abs,
    add,
    cast,
    conj,
    cos,
    divide,
    equal,
    exp,
    greater,
    greater_equal,
    imag,
    less,
    less_equal,
    log,
    multiply,
    negative,
    not_equal,
    power,
    real,
    sign,
    sin,
    sqrt,
    subtract,
)
from .products import kron, matmul, outer, trace
from .reductions import sum
from .shaping import (
    broadcast_to,
    copy,
    diagflat,
    diagonal,
    getitem,
    hconj,
    pivot,
    reshape,
    shape,
    take_slice,
    transpose,
)

__all__ = [
    "NconBuilder",
    "abs",
    "add",
    "broadcast_to",
    "cast",
    "conj",
    "copy",
    "cos",
    "diagflat",
    "diagonal",
    "divide",
    "equal",
    "exp",
    "finalize",
    "getitem",
    "greater",
    "greater_equal",
    "hconj",
    "imag",
    "kron",
    "less",
    "less_equal",
    "log",
    "matmul",
    "multiply",
    "negative",
    "not_equal",
    "outer",
    "pivot",
    "power",
    "real",
    "reshape",
    "shape",
    "sign",
    "sin",
    "sqrt",
    "subtract",
    "sum",
    "take_slice",
    "trace",
    "transpose",
]

methods.update(
    {
        "abs": abs,
        "add": add,
        "conj": conj,
        "copy": copy,
        "divide": divide,
        "equal": equal,
        "getitem": getitem,
        "greater": greater,
        "greater_equal": greater_equal,
        "hconj": hconj,
        "label": label,
        "less": less,
        "less_equal": less_equal,
        "matmul": matmul,
        "multiply": multiply,
        "negative": negative,
        "not_equal": not_equal,
        "power": power,
        "reshape": reshape,
        "subtract": subtract,
        "transpose": transpose,
    }
)
