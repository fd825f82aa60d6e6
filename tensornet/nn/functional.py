"""Operations of neural networks, on arrays and on Tensors.

>>> import numpy as np
>>> conv2d(np.ones((1, 4, 4, 3)), np.ones((3, 3, 3, 8)), padding="SAME").shape
(1, 4, 4, 8)
"""

from __future__ import annotations

from ..ops.convolution import conv1d, conv2d, conv3d

__all__ = ["conv1d", "conv2d", "conv3d"]
