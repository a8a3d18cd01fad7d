"""VGG: Simonyan and Zisserman 2015, table 1, columns D and E (https://arxiv.org/abs/1409.1556),
with the layer names of its Keras weights.

Five blocks of 3x3 convolutions, each block half the size of the one before, then dense layers,
which hold most of the parameters.
"""

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike

from tljax.core import Net, UserError
from tljax.nn.layers import Conv, max_pool, net
from tljax.nn.preprocessing import preprocess
from tljax.protocols import StoredStatistics

WIDTHS = (64, 128, 256, 512, 512)  # of the blocks
DENSE = 4096  # of fc1 and fc2


class _VGG(nn.Module):
    counts: tuple
    fc: bool
    size: int
    form: str
    dtype: DTypeLike

    @nn.compact
    def __call__(self, x, train):
        if self.fc and {length // 32 for length in x.shape[1:3]} != {self.size // 32}:
            raise UserError(
                f'inputs {x.shape[1:]} do not fit fc1, made for net.size={self.size}: set net.size '
                'to theirs, or net.fc=False'
            )
        x, taps = preprocess(x, 'caffe'), {}
        for i, (count, width) in enumerate(zip(self.counts, WIDTHS, strict=True), 1):
            for j in range(1, count + 1):
                x = nn.relu(
                    Conv(
                        width,
                        use_bias=True,
                        form=self.form,
                        dtype=self.dtype,
                        name=f'block{i}_conv{j}',
                    )(x)
                )
            taps[f'block{i}'] = (x := max_pool(x))
        if not self.fc:
            return {
                **taps,
                'features': x.mean((1, 2)).astype(jnp.promote_types(self.dtype, jnp.float32)),
            }
        x = x.reshape(len(x), -1)
        for name in ('fc1', 'fc2'):
            taps[name] = (x := nn.relu(nn.Dense(DENSE, dtype=self.dtype, name=name)(x)))
        return {**taps, 'features': x.astype(jnp.promote_types(self.dtype, jnp.float32))}


def _vgg(name, counts, fc, size, form, dtype):
    if size < 32:
        raise UserError(
            f'net.size={size} leaves nothing after five poolings: take 32 or more (the weights of '
            'fc1 were trained at 224)'
        )
    groups = {f'block{i}': f'block{i}_.*' for i in range(1, len(WIDTHS) + 1)}
    groups |= {name: f'{name}/.*' for name in ('fc1', 'fc2')} if fc else {}
    return net(
        _VGG(counts, fc, size, form, dtype),
        DENSE if fc else WIDTHS[-1],
        groups,
        {'name': name, 'fc': fc},
    )


def vgg16(
    fc: bool = True,
    size: int = 224,
    form: str = 'plain',
    stored: StoredStatistics | None = None,
    dtype: DTypeLike = jnp.float32,
) -> Net:
    """Thirteen convolutions in five blocks, then fc1 and fc2: 4096 features of pictures in [0, 1],
    (n, size, size, 3).

    Args:
        fc: False leaves the dense layers out: the 512 features are then the means over positions of
            the last block's map, of pictures of any size from 32 on.
        size: of the inputs, pixels, which the shape of fc1 follows; ImageNet weights of fc1 are
            published for 224.
        stored: unused; there is no BatchNorm.
        form: how convolutions are computed, one of `nn.convolution.PLACES` or FORMS.
        dtype: of the computation; parameters and features are float32 or wider.

    Raises:
        UserError: for a size below 32; with `fc`, for inputs of another size.

    >>> vgg16().dim, vgg16(fc=False).dim
    (4096, 512)
    """
    return _vgg('vgg16', (2, 2, 3, 3, 3), fc, size, form, dtype)


def vgg19(
    fc: bool = True,
    size: int = 224,
    form: str = 'plain',
    stored: StoredStatistics | None = None,
    dtype: DTypeLike = jnp.float32,
) -> Net:
    """As `vgg16`, with sixteen convolutions.

    Args:
        fc: as `vgg16`.
        size: as `vgg16`.
        form: how convolutions are computed, one of `nn.convolution.PLACES` or FORMS.
        stored: unused; there is no BatchNorm.
        dtype: of the computation; parameters and features are float32 or wider.

    >>> list(vgg19(fc=False).groups)
    ['block1', 'block2', 'block3', 'block4', 'block5']
    """
    return _vgg('vgg19', (2, 2, 4, 4, 4), fc, size, form, dtype)
