"""Derivatives of what is computed with tensornet: values at once, gradients on demand.

Operations on Tensors are recorded while something is being differentiated, and swept backwards for
the gradient. The rule of each operation is itself written in operations, so gradients have
gradients. The gradient of a real loss with respect to complex entries is ``dL/dRe + i dL/dIm``,
as in PyTorch.
"""

from __future__ import annotations

from . import rules as rules
from .checking import check_grads
from .custom import checkpoint, custom_op
from .functional import grad, hvp, jvp, value_and_grad, vjp
from .gradient_tape import GradientTape
from .variables import no_grad, stop_gradient

__all__ = [
    "GradientTape",
    "check_grads",
    "checkpoint",
    "custom_op",
    "grad",
    "hvp",
    "jvp",
    "no_grad",
    "stop_gradient",
    "value_and_grad",
    "vjp",
]
