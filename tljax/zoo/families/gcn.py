"""Graph convolution on sampled neighbours."""

from collections.abc import Sequence

import jax.numpy as jnp
from jax.typing import DTypeLike

from tljax.core import Net
from tljax.zoo.families.graph import sampled_network


def gcn(
    widths: Sequence[int] = (128, 128),
    fanouts: Sequence[int] = (10, 10),
    dropout: float = 0.5,
    dtype: DTypeLike = jnp.float32,
) -> Net:
    """Graph convolution: h_v <- relu(W sum over u of P_vu h_u + b), with P of `graphs.propagation`.

    Args:
        widths: of the layers, one for each fan-out.
        fanouts: those of the data, made with weights='gcn'. If no node has more neighbours, the
            layers are exact; otherwise the sums are estimated without bias from a sample.
        dropout: share of the inputs of each layer that are dropped in training.
        dtype: of the multiplications by kernels; parameters, sums over neighbours and features are
            float32 or wider.

    Raises:
        UserError: other numbers of layers than of fan-outs, and a share outside [0, 1).

    Source: Kipf and Welling 2017, https://arxiv.org/abs/1609.02907, equation 2; the samples:
        Hamilton et al. 2017.

    >>> gcn((16, 8), (5, 5)).dim
    8
    """
    return sampled_network(widths, fanouts, dropout, 'gcn', dtype)
