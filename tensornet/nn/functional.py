"""Operations of neural networks: arrays give arrays, Tensors give Tensors.

Convolution and pooling take channels last, or `data_format="NCHW"` and its like. What a layer is
made of is here without the layer; what is not about networks (`matmul`, `mean`, `where`) is in
`tensornet` itself.

>>> import numpy as np
>>> conv2d(np.ones((1, 4, 4, 3)), np.ones((3, 3, 3, 8)), padding="SAME").shape
(1, 4, 4, 8)
>>> max_pool2d(np.arange(16.0).reshape(1, 4, 4, 1), 2).ravel()
array([ 5.,  7., 13., 15.])
"""

from __future__ import annotations

from ..ops.activations import elu, gelu, leaky_relu, relu, sigmoid, silu, softplus
from ..ops.convolution import conv1d, conv2d, conv3d
from ..ops.functions import tanh
from ..ops.normalising import log_softmax, logsumexp, softmax
from ..ops.pooling import (
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    global_avg_pool1d,
    global_avg_pool2d,
    global_avg_pool3d,
    global_max_pool1d,
    global_max_pool2d,
    global_max_pool3d,
    max_pool1d,
    max_pool2d,
    max_pool3d,
)
from .losses import (
    binary_cross_entropy,
    huber,
    kl_divergence,
    mean_absolute_error,
    mean_squared_error,
    negative_log_likelihood,
    softmax_cross_entropy,
    sparse_softmax_cross_entropy,
)

__all__ = [
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "binary_cross_entropy",
    "conv1d",
    "conv2d",
    "conv3d",
    "elu",
    "gelu",
    "global_avg_pool1d",
    "global_avg_pool2d",
    "global_avg_pool3d",
    "global_max_pool1d",
    "global_max_pool2d",
    "global_max_pool3d",
    "huber",
    "kl_divergence",
    "leaky_relu",
    "log_softmax",
    "logsumexp",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "mean_absolute_error",
    "mean_squared_error",
    "negative_log_likelihood",
    "relu",
    "sigmoid",
    "silu",
    "softmax",
    "softmax_cross_entropy",
    "softplus",
    "sparse_softmax_cross_entropy",
    "tanh",
]
