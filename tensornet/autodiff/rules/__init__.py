"""The gradient rule of each operation, written in operations, so that they have gradients, too.

The cotangent of a complex entry is ``dL/dRe + i dL/dIm`` of a real loss L, as in PyTorch: a
holomorphic operation pulls back by the conjugate of its derivative. Importing this room gives the
operations their rules.
"""

from . import activations as activations
from . import contraction as contraction
from . import convolution as convolution
from . import elementwise as elementwise
from . import functions as functions
from . import linalg as linalg
from . import pooling as pooling
from . import products as products
from . import reductions as reductions
from . import shaping as shaping
