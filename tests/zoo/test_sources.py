"""Sources and targets that fit one another: lower parts of networks, and pictures brought to a network's shape."""
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from tljax.configuration import named
from tljax.core import Refused
from tljax.data import digits, sine
from tljax.data.formats.arrays import arrays
from tljax.data.wrappers.resampled import resampled
from tljax.paths import flatten
from tljax.zoo import mobilenet
from tljax.zoo.wrappers.truncated import truncated


@pytest.mark.parametrize('of, tap, shape', [
    ({'name': 'conv4', 'width': 4, 'blocks': 2, 'size': 8}, 'block1', (8, 8, 1)),
    ({'name': 'lenet', 'widths': [3], 'dense': [5, 4], 'size': 12, 'norm': 'batch'}, 'dense1', (12, 12, 3))])
def test_a_truncated_network_is_the_lower_part_of_the_whole(of, tap, shape):
    whole = named('tljax.zoo', of, 'net')
    part = truncated(whole, tap, shape[0], shape[2])
    input = jax.random.uniform(jax.random.key(1), (3, *shape))
    params, state = whole.init(jax.random.key(0), input)
    mine, statistics = part.init(jax.random.key(0), input)
    jax.tree.map(np.testing.assert_array_equal, flatten(mine), {path: flatten(params)[path] for path in flatten(mine)})
    for key in (None, jax.random.key(2)):
        taps, moved = whole.features(params, state, input, key)
        found, mine_moved = part.features(mine, statistics, input, key)
        mean = taps[tap].mean((1, 2)) if taps[tap].ndim == 4 else taps[tap]
        np.testing.assert_allclose(found['features'], mean, rtol=1e-5, atol=1e-6)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), flatten(mine_moved),
                     {path: flatten(moved)[path] for path in flatten(mine_moved)})
    assert part.dim == taps[tap].shape[-1] and list(part.groups)[-1] == tap
    gradient = jax.grad(lambda params: jnp.sum(part.features(params, statistics, input)[0]['features'] ** 2))(mine)
    assert all(float(jnp.abs(leaf).max()) > 0 for leaf in jax.tree.leaves(gradient))


def test_a_truncated_network_costs_what_its_lower_part_does():
    def flops(net):
        input = jnp.zeros((1, 64, 64, 3))
        params, state = net.init(jax.random.key(0), input)
        forward = jax.jit(lambda params, input: net.features(params, state, input)[0]['features'])
        return forward.lower(params, input).compile().cost_analysis()['flops']

    whole = mobilenet(alpha=.25)
    assert flops(truncated(whole, 'block3', 64)) < .6 * flops(whole)


def test_a_tap_that_is_not_there():
    with pytest.raises(Refused, match="net.tap='blok3' is no group of the network among its intermediates: did you mean block3?"):
        truncated(mobilenet(alpha=.25), 'blok3', 32)


@pytest.fixture
def pictures():
    """Two red, green and blue pictures of 4x4."""
    return np.random.default_rng(0).uniform(size=(2, 4, 4, 3)).astype(np.float32)


@pytest.fixture
def coloured(pictures):
    """The splits of a set of two pictures, whose test split is empty."""
    return {'train': arrays(pictures, np.array([0, 1]), 'ab'), 'test': arrays(pictures[:0], np.zeros(0, int), 'ab')}


def test_pictures_are_scaled_as_pillow_does_and_greyed_by_luma(coloured, pictures):
    found = resampled(coloured, size=6, channels=1)['train'].take(np.array([[1], [0]]))
    assert found['input'].shape == (2, 1, 6, 6, 1) and found['label'].tolist() == [[1], [0]]
    for row, picture in ((0, pictures[1]), (1, pictures[0])):
        luma = sum(weight * np.asarray(Image.fromarray(picture[..., i]).resize((6, 6), Image.Resampling.BILINEAR))
                   for i, weight in enumerate((.299, .587, .114)))
        np.testing.assert_allclose(found['input'][row, 0, ..., 0], luma, atol=1e-6)


def test_pictures_of_the_right_shape_stay_as_they_are(coloured, pictures):
    splits = resampled(coloured, size=4)
    np.testing.assert_array_equal(splits['train'].take(np.arange(2))['input'], pictures)
    assert splits['test'].size == 0


def test_no_more_than_was_asked_for_and_the_same_each_time():
    first, second = (resampled(digits(size=8), 8, 1, most=50)['train'] for _ in range(2))
    whole = digits(size=8)['train']
    assert first.size == 50 and first.fingerprint == second.fingerprint
    pictures = {picture.tobytes() for picture in whole.take(np.arange(whole.size))['input']}
    assert all(picture.tobytes() in pictures for picture in first.take(np.arange(50))['input'])
    assert first.fingerprint != resampled(digits(size=8), 8, 1, most=50, seed=1)['train'].fingerprint


@pytest.mark.parametrize('changes, said', [
    ({'size': 0}, 'data.size=0'), ({'channels': 2}, 'data.channels=2'), ({'most': 0}, 'data.most=0')])
def test_what_cannot_be(changes, said):
    with pytest.raises(Refused, match=said):
        resampled(digits(), **{'size': 8, **changes})


def test_what_is_no_picture():
    with pytest.raises(Refused, match='data.of has inputs .* no square pictures'):
        resampled(sine(), size=8)
