"""What a network ignores, layer by layer, on networks whose invariance is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from tljax.core import Net, UserError
from tljax.data.formats.arrays import arrays
from tljax.nn.transformations import brightness, mirror, upend
from tljax.studies.cuts import advised_until, judgement
from tljax.studies.invariance import (
    advice,
    layer_extractor,
    layer_features,
    measure,
    splits_of_config,
    splits_of_pictures,
)
from tljax.zoo import conv4

BACKBONE = {'backbone': {}, 'head': np.zeros(1)}


def columns_then_all() -> Net:
    """Two layers: rows of a picture averaged over columns, and the whole picture."""

    def features(params, state, input, key=None):
        rows = jnp.broadcast_to(input.mean(2, keepdims=True), input.shape)
        return {
            'rows': rows.reshape(len(input), -1),
            'features': input.reshape(len(input), -1),
        }, state

    return Net(lambda key, input: ({}, {}), features, 36, {'rows': 'a', 'all': 'b'})


def halves(n, seed):
    """Pictures whose class is the brighter half, left or right."""
    rng = np.random.default_rng(seed)
    x = rng.random((n, 6, 6, 1)).astype(np.float32)
    y = rng.integers(0, 2, n).astype(np.int32)
    x[y == 0, :, :3] += 0.4
    x[y == 1, :, 3:] += 0.4
    return arrays(x / 1.4, y, ('left', 'right'))


@pytest.fixture(scope='module')
def measured():
    splits = {'train': halves(120, 0), 'validation': halves(150, 1)}
    families = {'flip': [mirror()], 'upend': [upend()]}
    return measure(columns_then_all(), BACKBONE, BACKBONE, splits, families, k=40, seeds=(0, 1))


def row(results, layer, transformation):
    for found in results['rows']:
        if (found['layer'], found['transformation']) == (layer, transformation):
            return found
    raise KeyError(layer)


@pytest.mark.slow
def test_a_layer_that_averages_over_columns_ignores_a_flip(measured):
    assert measured['layers'] == ['rows', 'features'] and measured['pictures'] == 120
    for layer, name, low, high in (
        ('rows', 'flip', 1 - 1e-6, 1 + 1e-6),
        ('features', 'flip', -1, 0.1),
        ('rows', 'upend', -0.1, 0.1),
    ):
        found = row(measured, layer, name)
        assert low <= found['invariance'] <= high, (layer, name, found)
        assert found['low'] <= found['invariance'] + 1e-9 and found['invariance'] <= found['high']


def test_left_and_right_need_the_side(measured):
    assert row(measured, 'features', 'flip')['need'] > 0.3
    assert abs(row(measured, 'features', 'upend')['need']) < 0.1
    # what averages over columns has lost the class, whatever it is trained with
    assert measured['probes']['rows'] < 0.65 and measured['probes']['features'] > 0.9
    assert row(measured, 'rows', 'flip')['need'] == 0


def test_the_advice_is_to_train_from_before_the_layer_that_ignores_it(measured):
    assert measured['advice']['frozen'] == 0 and measured['advice']['harmful'] == ['flip']
    assert measured['advice']['sentence'].startswith('Train the whole network: a probe of the')
    assert 'ignores it from rows on (invariance 1.00).' in measured['advice']['sentence']


def test_half_of_the_layers_before_that_stay_frozen():
    values = dict(stem=0.0, rows=0.2, map=0.9)
    rows = [
        dict(layer=layer, transformation='flip', invariance=value, need=0.2)
        for layer, value in values.items()
    ]
    results = dict(layers=list(values), transformations=['flip'], rows=rows)
    found = advice(results)
    assert (found['until'], found['frozen']) == ('stem', 1)
    assert found['sentence'].startswith('Freeze stem and train from rows on: ')
    assert 'ignores it from map on (invariance 0.90)' in found['sentence']
    gains = [row | {'need': -0.2} for row in rows]
    found = advice({**results, 'rows': gains})
    assert (found['until'], found['helpful']) == ('backbone', ['flip'])
    assert 'a probe of the target gains 20.0 points by ignoring flip' in found['sentence']
    neither = [row | {'need': 0.01} for row in rows]
    found = advice({**results, 'rows': neither})
    assert found['until'] == '' and 'makes no difference' in found['sentence']


def test_layers_are_measured_in_inference():
    """With the statistics of a batch, a change of all pictures alike would vanish."""
    net = conv4(width=4, size=8, blocks=2)
    x = np.random.default_rng(0).random((16, 8, 8, 3), np.float32)
    params, state = net.init(jax.random.key(0), x)
    state = jax.tree.map(lambda leaf: leaf + 0.3, state)
    stack = [
        {'backbone': jax.tree.map(lambda leaf: np.asarray(leaf)[None], tree)}
        for tree in (params, state)
    ]
    dataset = arrays(x, np.zeros(16, int), ('a',))
    found = layer_features(layer_extractor(net, cells=1), *stack, dataset)
    assert list(found) == ['block1', 'block2']
    taps, _ = jax.jit(net.features)(params, state, x)
    in_batch, _ = jax.jit(net.features)(params, state, x, jax.random.key(0))
    for name, values in found.items():
        np.testing.assert_allclose(values, np.mean(taps[name], (1, 2)), rtol=1e-4, atol=1e-5)
        assert np.abs(values - np.mean(in_batch[name], (1, 2))).max() > 0.01


@pytest.mark.parametrize('cells', [1, 2, 3, 8])
def test_maps_are_averaged_in_cells(cells):
    """As PyTorch's adaptive pooling: cell i is floor(i n / cells) to ceil((i + 1) n / cells)."""
    x = np.random.default_rng(0).random((3, 7, 5, 2), np.float32)

    def features(params, state, input, key=None):
        return {'map': input, 'features': input.mean((1, 2))}, state

    net = Net(lambda key, input: ({}, {}), features, 2, {'map': 'a'})
    found = layer_features(layer_extractor(net, cells), BACKBONE, BACKBONE, arrays(x, np.zeros(3)))[
        'map'
    ]
    rows, columns = min(cells, 7), min(cells, 5)

    def span(i, side, count):
        return slice(int(np.floor(i * side / count)), int(np.ceil((i + 1) * side / count)))

    expected = np.array(
        [
            [x[:, span(i, 7, rows), span(j, 5, columns)].mean((1, 2)) for j in range(columns)]
            for i in range(rows)
        ]
    )
    np.testing.assert_allclose(found, np.moveaxis(expected, 2, 0).reshape(3, -1), rtol=1e-5)


def test_without_labels_only_the_invariance_is_measured():
    def features(params, state, input, key=None):
        return {'dead': 0 * input, 'features': input.reshape(len(input), -1)}, state

    net = Net(lambda key, input: ({}, {}), features, 36, {'dead': 'a', 'all': 'b'})
    splits = {'train': halves(20, 0)}
    found = measure(net, BACKBONE, BACKBONE, splits, {'dark': [brightness(1.0)]})
    assert 'advice' not in found and 'probes' not in found
    assert row(found, 'dead', 'dark')['invariance'] is None
    assert row(found, 'features', 'dark')['invariance'] == pytest.approx(1)


def test_a_folder_of_pictures_is_a_target(tmp_path):
    rng = np.random.default_rng(0)
    for name, count in (('ants', 12), ('bees', 10)):
        (tmp_path / name).mkdir()
        for i in range(count):
            pixels = rng.integers(0, 255, (9, 9, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f'{i}.png')
    (tmp_path / 'ants' / 'broken.png').write_bytes(b'x')
    model = ({}, {}, {'input': [8, 8, 3], 'config': {'data': {'name': 'folder', 'size': 8}}})
    splits, unread = splits_of_pictures(model, [str(tmp_path)], most=None)
    assert unread == 1 and splits['train'].classes == ('ants', 'bees')
    assert splits['train'].size + splits['validation'].size == 22
    assert splits['validation'].take(np.arange(2))['input'].shape == (2, 8, 8, 3)
    splits, _ = splits_of_pictures(model, [str(tmp_path / 'bees')], most=7)
    assert list(splits) == ['train'] and splits['train'].size == 7


def test_a_config_without_data_is_none():
    for config in ({}, {'phases': {}, 'data': {'name': ''}}):
        with pytest.raises(UserError, match='names no data'):
            splits_of_config(({}, {}, {'input': [8, 8, 3]}), config, most=None)


def study_row(target, frozen, scores, source='flip'):
    """A pair whose cuts have these scores in per cent on the test, and other ones before it."""
    cuts = ('', 'block1', 'backbone')
    test = {
        cut: [score / 100 - 0.01, score / 100 + 0.01]
        for cut, score in zip(cuts, scores, strict=True)
    }
    return dict(
        augmentation='flip',
        target=target,
        source=source,
        measured=dict(layers=['block1', 'block2']),
        advice=dict(frozen=frozen),
        validation={cut: values[::-1] for cut, values in test.items()},
        test=test,
    )


def test_the_advice_is_judged_against_the_best_and_the_single_cut():
    rows = [
        study_row('a', 2, (60, 70, 80)),  # right
        study_row('b', 1, (80, 79, 60)),  # a point below
        study_row('c', 0, (50, 90, 90)),  # wrong
    ]
    found = judgement(rows)
    assert [pair['advised'] for pair in found['pairs']] == ['backbone', 'block1', '']
    assert [pair['best'] for pair in found['pairs']] == ['backbone', '', 'block1']
    regrets = [pair['regret']['mean'] for pair in found['pairs']]
    np.testing.assert_allclose(regrets, [0, 0.01, 0.4], atol=1e-9)
    assert found['close'] == 2
    # means over pairs: 63.3, 79.7, 76.7
    assert found['single'] == 'block1' and found['single_close'] == 2
    np.testing.assert_allclose(
        [found['means'][key] for key in ('advised', 'single', 'best')],
        [(0.8 + 0.79 + 0.5) / 3, (0.7 + 0.79 + 0.9) / 3, (0.8 + 0.8 + 0.9) / 3],
    )
    assert found['gain']['mean'] == pytest.approx(-0.1) and found['controls'] is None
    with_controls = judgement([*rows, study_row('a', 2, (60, 70, 80), source='none')])
    assert len(with_controls['pairs']) == 3 and with_controls['controls']['close'] == 1


def test_a_cut_that_was_not_trained_gives_way_to_one_that_freezes_less():
    rows = [study_row('a', frozen, (1, 2, 3)) for frozen in (0, 1, 2)]
    assert [advised_until(found) for found in rows] == ['', 'block1', 'backbone']
    del rows[1]['test']['block1']
    assert advised_until(rows[1]) == ''


def test_features_of_tokens_are_averaged():
    def features(params, state, input, key=None):
        tokens = input.reshape(len(input), -1, 4)
        return {'tokens': tokens, 'features': tokens[:, 0]}, state

    net = Net(lambda key, input: ({}, {}), features, 4, {'tokens': 'a'})
    x = np.random.default_rng(0).random((3, 4, 4, 1), np.float32)
    found = layer_features(layer_extractor(net), BACKBONE, BACKBONE, arrays(x, np.zeros(3)))
    np.testing.assert_allclose(found['tokens'], jnp.mean(x.reshape(3, 4, 4), 1), rtol=1e-6)
