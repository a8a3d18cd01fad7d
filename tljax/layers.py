"""Layers that networks are made of, and the one place that knows how a convolution is best computed where.

XLA's own convolution is right for accelerators. On a CPU it is slow, most of all its gradient inside a loop (where it misses the fast
path), and a sum of matrix products does the same work sooner; a depthwise one is fastest as a sum of shifted products. `form` chooses;
`python -m experiments.benchmark` prints the table it is chosen from.
"""
import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from tljax.core import Net, Refused


def form(depthwise=False):
    """The form of convolution for the present backend: 'plain', 'dots' or 'shifts'.

    >>> form() in ('plain', 'dots')
    True
    """
    if jax.default_backend() != 'cpu':
        return 'plain'
    return 'shifts' if depthwise else 'dots'


def convolve(x, kernel, strides=(1, 1), padding='SAME', groups=1, form='plain'):
    """A convolution of (n, h, w, c) with a kernel (kh, kw, c / groups, d), in one of the forms that all give (n, h', w', d).

    Args:
        padding: 'SAME', 'VALID' or ((top, bottom), (left, right)).
        form: 'plain' (XLA's), 'dots' (patches times a matrix; groups=1) or 'shifts' (depthwise: groups = c, one product per tap).

    >>> x, kernel = jnp.ones((1, 4, 4, 2)), jnp.ones((3, 3, 2, 5))
    >>> bool(jnp.allclose(convolve(x, kernel, form='dots'), convolve(x, kernel)))
    True
    """
    if form == 'plain':
        return lax.conv_general_dilated(x, kernel, strides, padding, dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
                                        feature_group_count=groups)
    if form not in ('dots', 'shifts') or (form == 'dots') != (groups == 1):
        raise Refused(f'form={form!r} with groups={groups}: dots are for groups=1, shifts for depthwise, plain for all')
    (kh, kw, c, d), (sh, sw) = kernel.shape, strides
    if isinstance(padding, str):
        padding = lax.padtype_to_pads(x.shape[1:3], (kh, kw), strides, padding)
    x = jnp.pad(x, ((0, 0), *padding, (0, 0)))
    h, w = (x.shape[1] - kh) // sh + 1, (x.shape[2] - kw) // sw + 1
    taps = [x[:, i:i + sh * (h - 1) + 1:sh, j:j + sw * (w - 1) + 1:sw] for i in range(kh) for j in range(kw)]
    if form == 'dots':
        return jnp.concatenate(taps, -1) @ kernel.reshape(kh * kw * c, d)
    if d != groups:
        raise Refused(f'shifts compute one output per input channel, not {d} for {groups}: use plain')
    return sum(tap * weight for tap, weight in zip(taps, kernel.reshape(kh * kw, d), strict=True))


class Conv(nn.Module):
    """A convolution with flax's parameter names ('kernel', and 'bias' where wanted), computed in the given form.

    >>> Conv(8).init(jax.random.key(0), jnp.ones((1, 4, 4, 3)))['params']['kernel'].shape
    (3, 3, 3, 8)
    """
    features: int
    kernel_size: tuple = (3, 3)
    strides: tuple = (1, 1)
    padding: str | tuple = 'SAME'
    groups: int = 1
    use_bias: bool = False
    form: str = 'plain'
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x):
        shape = (*self.kernel_size, x.shape[-1] // self.groups, self.features)
        kernel = self.param('kernel', nn.initializers.variance_scaling(2., 'fan_out', 'truncated_normal'), shape)
        x, kernel = x.astype(self.dtype), kernel.astype(self.dtype)
        x = convolve(x, kernel, self.strides, self.padding, self.groups, self.form)
        if self.use_bias:
            x = x + self.param('bias', nn.initializers.zeros, (self.features,)).astype(self.dtype)
        return x


class BatchNorm(nn.BatchNorm):
    """Flax's BatchNorm that runs on stored statistics where `stored(path)` says so, whatever the network as a whole does.

    A frozen layer whose statistics moved would not be frozen; `optim.stored` makes the predicate from the partition.

    >>> layer = BatchNorm(stored=lambda path: True, name='bn', parent=None)
    >>> variables = layer.init(jax.random.key(0), jnp.ones((2, 3)), train=True)
    >>> layer.apply(variables, jnp.ones((2, 3)), train=True, mutable='batch_stats')[1]['batch_stats']['mean'].tolist()
    [0.0, 0.0, 0.0]
    """
    stored: object = None

    def __call__(self, x, train):
        fixed = not train or (self.stored is not None and self.stored('/'.join(self.path)))
        return super().__call__(x, use_running_average=fixed)


def net(module, dim, groups):
    """A `Net` from a flax module whose call `(input, train)` returns a dict of intermediates with 'features' (n, dim) among them.

    Its state is flax's 'batch_stats', whose paths are those of the layers' parameters.

    >>> class Toy(nn.Module):
    ...     @nn.compact
    ...     def __call__(self, x, train):
    ...         return {'features': nn.Dense(2, name='dense')(x)}
    >>> toy = net(Toy(), dim=2, groups={'dense': 'dense/.*'})
    >>> params, state = toy.init(jax.random.key(0), jnp.ones((1, 3)))
    >>> toy.features(params, state, jnp.ones((4, 3)))[0]['features'].shape
    (4, 2)
    """
    def init(key, input):
        variables = module.init(key, input, train=False)
        params, state = variables.get('params', {}), variables.get('batch_stats', {})
        found = jax.eval_shape(lambda: features(params, state, input)[0]['features']).shape
        if found != (len(input), dim):
            raise Refused(f'inputs {input.shape[1:]} give features {found[1:]}, not ({dim},): set net.size to the size of the inputs')
        return params, state

    def features(params, state, input, key=None):
        variables = {'params': params, 'batch_stats': state}
        if key is None:
            return module.apply(variables, input, train=False), state
        out, moved = module.apply(variables, input, train=True, rngs={'dropout': key}, mutable=['batch_stats'])
        return out, moved.get('batch_stats', state)

    return Net(init, features, dim, groups)


def max_pool(x):
    """2x2 maximum with stride 2, (n, h, w, c) -> (n, h // 2, w // 2, c), as maxima of strided slices: exact under every transform.

    >>> max_pool(jnp.arange(4.).reshape(1, 2, 2, 1)).tolist()
    [[[[3.0]]]]
    """
    h, w = x.shape[1] // 2 * 2, x.shape[2] // 2 * 2
    rows = jnp.maximum(x[:, :h:2, :w], x[:, 1:h:2, :w])
    return jnp.maximum(rows[:, :, ::2], rows[:, :, 1::2])
