"""Deep adaptation against what the papers' equations say, written out in NumPy, and its phases from end to end."""


import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tiny import tiny

import tljax.methods
from configs import adapt
from tljax import build, configuration
from tljax.core import Refused, Tick
from tljax.engine import optim
from tljax.engine.checkpoint import load_final
from tljax.kernels import median_width, mixture, mmd
from tljax.methods.adaptation.mcd import mcd
from tljax.methods.adaptation.two_domains import both
from tljax.methods.pseudo_labels import centroids
from tljax.nn import augment
from tljax.zoo.families.conv4 import conv4
from tljax.zoo.families.identity import identity
from tljax.zoo.families.lenet import lenet
from tljax.zoo.families.mlp import mlp
from tljax.zoo.wrappers.by_domain import by_domain

DOMAINS = {'data': {'name': 'domains', 'source': {'name': 'glyphs', 'part': 'digits', 'size': 8, 'per_class': 10},
                    'target': {'name': 'digits', 'size': 8}}}
TICK = Tick(jnp.int32(0), jax.random.key(0))


@pytest.fixture
def batch():
    rng = np.random.default_rng(0)
    return {'input': jnp.asarray(rng.normal(size=(12, 5)), jnp.float32), 'label': jnp.asarray(rng.integers(3, size=12)),
            'target': {'input': jnp.asarray(rng.normal(1, 2, size=(12, 5)), jnp.float32)}}


def made(name, net=None, batch=None, **keywords):
    """A method with a head that is not zero, and its parameters."""
    method = getattr(tljax.methods, name)(net or mlp((4,)), 3, **keywords)
    params, state = method.init(jax.random.key(1), batch)
    params['head'] = {'kernel': jax.random.normal(jax.random.key(2), params['head']['kernel'].shape), 'bias': jnp.arange(3.)}
    return method, params, state


def gap(name, batch, **keywords):
    """What a method adds to the source's error, with the features being the inputs; and its head."""
    method, params, state = made(name, identity(5), batch, **keywords)
    value, (_, metrics) = method.loss(params, state, batch, TICK)
    np.testing.assert_allclose(value - metrics['gap'], metrics['loss'], rtol=1e-5)
    return float(metrics['gap']), params['head']


def logits(batch, head):
    return [np.asarray(x) @ np.asarray(head['kernel']) + np.asarray(head['bias']) for x in (batch['input'], batch['target']['input'])]


def softmax(x):
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def kernel_by_loops(xs, xt, scales):
    x = np.concatenate([xs, xt])
    distances = np.array([[((a - b) ** 2).sum() for b in x] for a in x])
    return np.mean([np.exp(-distances / (scale * distances.mean())) for scale in scales], 0)


def mmd_by_loops(kernel):
    n = len(kernel) // 2
    ss = [kernel[i, j] for i in range(n) for j in range(n) if i != j]
    tt = [kernel[n + i, n + j] for i in range(n) for j in range(n) if i != j]
    return np.mean(ss) + np.mean(tt) - 2 * np.mean([kernel[i, n + j] for i in range(n) for j in range(n)])


SCALES = (.25, .5, 1., 2., 4.)


def test_dan_is_the_sum_of_two_layers_discrepancies(batch):
    found, head = gap('dan', batch)
    layers = [(batch['input'], batch['target']['input']), logits(batch, head)]
    np.testing.assert_allclose(found, sum(mmd_by_loops(kernel_by_loops(*map(np.asarray, pair), SCALES)) for pair in layers), rtol=1e-4)


def test_jan_is_the_discrepancy_of_a_product_of_kernels(batch):
    found, head = gap('jan', batch)
    kernel = kernel_by_loops(np.asarray(batch['input']), np.asarray(batch['target']['input']), SCALES)
    probability = np.concatenate([softmax(each) for each in logits(batch, head)])
    kernel = kernel * np.exp(-np.array([[((a - b) ** 2).sum() for b in probability] for a in probability]) / 1.68)
    np.testing.assert_allclose(found, mmd_by_loops(kernel), rtol=1e-4)


def test_ddc_is_the_distance_of_means(batch):
    means = np.asarray(batch['input']).mean(0) - np.asarray(batch['target']['input']).mean(0)
    np.testing.assert_allclose(gap('ddc', batch, weight=2.)[0], 2 * (means ** 2).sum(), rtol=1e-5)


def test_deep_coral_is_the_distance_of_covariances(batch):
    found, head = gap('deep_coral', batch)
    source, target = (np.cov(each, rowvar=False) for each in logits(batch, head))
    np.testing.assert_allclose(found, ((source - target) ** 2).sum() / (4 * 9), rtol=1e-4)


def test_cmd_is_the_distance_of_central_moments(batch):
    xs, xt = (np.tanh(np.asarray(x, np.float64)) for x in (batch['input'], batch['target']['input']))
    total = np.linalg.norm(xs.mean(0) - xt.mean(0)) / 2
    for k in range(2, 6):
        total += np.linalg.norm(((xs - xs.mean(0)) ** k).mean(0) - ((xt - xt.mean(0)) ** k).mean(0)) / 2 ** k
    np.testing.assert_allclose(gap('cmd', batch)[0], total, rtol=1e-4)


def test_self_training_counts_the_sure_alone(batch):
    found, head = gap('self_training', batch, threshold=.8)
    probability = softmax(logits(batch, head)[1])
    sure = probability.max(1) >= .8
    assert 0 < sure.sum() < 12
    np.testing.assert_allclose(found, -(sure * np.log(probability.max(1))).mean(), rtol=1e-4)


def test_mmd_of_one_distribution_is_zero_on_average_and_of_two_is_not():
    rng = np.random.default_rng(0)
    same = [float(mmd(mixture(*(jnp.asarray(rng.normal(size=(20, 2))) for _ in range(2))))) for _ in range(200)]
    assert abs(np.mean(same)) < 3 * np.std(same) / 200 ** .5
    assert float(mmd(mixture(jnp.asarray(rng.normal(size=(20, 2))), jnp.asarray(rng.normal(2, size=(20, 2)))))) > .2


def test_the_median_width_is_scipys():
    from scipy.spatial.distance import pdist
    x = np.random.default_rng(0).normal(size=(15, 3))
    np.testing.assert_allclose(median_width(x[:7], x[7:]), np.median(pdist(x)), rtol=1e-5)


def critic_error(params, xs, xt, weights=(1., 1.)):
    """Logistic error of a critic of hidden layers, the source being 1, in NumPy's terms but differentiable."""
    def tell(x):
        for name in sorted(name for name in params if name != 'out'):
            x = jax.nn.relu(x @ params[name]['kernel'] + params[name]['bias'])   # of all-zero rows a maximum's gradient would differ
        return (x @ params['out']['kernel'] + params['out']['bias'])[:, 0]
    return ((jnp.log1p(jnp.exp(-tell(xs))) * weights[0]).mean() + (jnp.log1p(jnp.exp(tell(xt))) * weights[1]).mean()) / 2


def test_dann_descends_for_the_critic_and_ascends_for_the_features(batch):
    method, params, state = made('dann', batch=batch, weight=.7)
    found = jax.grad(lambda p: method.loss(p, state, batch, TICK)[0])(params)
    net = mlp((4,))

    def features(backbone):
        return [net.features(backbone, {}, x)[0]['features'] for x in (batch['input'], batch['target']['input'])]

    def error(params):
        out = features(params['backbone'])[0] @ params['head']['kernel'] + params['head']['bias']
        return optax.softmax_cross_entropy_with_integer_labels(out, batch['label']).mean()

    learnt = jax.grad(error)(params)
    adversary = jax.grad(lambda p: critic_error(p['critic'], *features(p['backbone'])))(params)
    expected = {'backbone': jax.tree.map(lambda a, b: a - .7 * b, learnt['backbone'], adversary['backbone']), 'head': learnt['head'],
                'critic': adversary['critic']}
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), found, expected)


def test_strength_rises_with_the_steps(batch):
    method, params, state = made('dann', batch=batch, ramp=100)

    def gradient(step):
        return jax.grad(lambda p: method.loss(p, state, batch, Tick(step, TICK.key))[0])(params)['backbone']['dense1']['kernel']

    parts = [gradient(step) - gradient(0) for step in (50, 100)]
    np.testing.assert_allclose(parts[0] / parts[1], (2 / (1 + np.exp(-5)) - 1) / (2 / (1 + np.exp(-10)) - 1), rtol=1e-2)


def test_domain_confusion_parts_the_critic_from_the_features(batch):
    method, params, state = made('domain_confusion', batch=batch, weight=1.)
    net = mlp((4,))
    found = jax.grad(lambda p: method.loss(p, state, batch, TICK)[0])(params)
    features = [net.features(params['backbone'], {}, x)[0]['features'] for x in (batch['input'], batch['target']['input'])]
    expected = jax.grad(critic_error)(params['critic'], *features)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), found['critic'], expected)
    still = jax.tree.map(jnp.zeros_like, params['critic'])   # a critic that cannot tell is already confused: nothing is asked of features
    alone = jax.grad(lambda p: method.loss({**p, 'critic': still}, state, batch, TICK)[0])(params)['backbone']
    assert any(np.abs(a - b).max() > 1e-4 for a, b in zip(jax.tree.leaves(alone), jax.tree.leaves(found['backbone']), strict=True))


def test_cdan_sees_features_times_predictions_and_weighs_the_sure(batch):
    method, params, state = made('cdan', identity(5), batch, width=6)
    value = method.loss(params, state, batch, TICK)[1][1]['gap']
    joint, weights = [], []
    for x, out in zip((batch['input'], batch['target']['input']), logits(batch, params['head']), strict=True):
        probability = softmax(out)
        joint.append(np.einsum('nd,nc->ndc', np.asarray(x), probability).reshape(12, -1))
        sure = 1 + np.exp((probability * np.log(probability + 1e-6)).sum(1))
        weights.append(sure / sure.mean())
    np.testing.assert_allclose(value, critic_error(params['critic'], *joint, weights), rtol=1e-4)


def test_cdans_random_map_stands_for_the_product():
    wide = {'input': jnp.ones((1, 2000)), 'label': jnp.array([0]), 'target': {'input': jnp.ones((1, 2000))}}
    _, params, _ = made('cdan', identity(2000), wide, random=64, width=8)
    assert params['critic']['dense1']['kernel'].shape == (64, 8)


def test_each_domain_is_normalised_by_itself_and_the_target_afterwards(batch):
    net = by_domain(mlp(widths=(4,), norm='batch'))
    _, params, state = made('dann', net, batch)
    *domains, moved = both(net, params, state, batch, jax.random.key(0))
    rows = [np.asarray(x) @ np.asarray(params['backbone']['dense1']['kernel']) for x in (batch['input'], batch['target']['input'])]
    for domain, x in zip(domains, rows, strict=True):
        np.testing.assert_allclose(domain['features'], np.maximum((x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5), 0), rtol=1e-4, atol=1e-5)
    mean, var = .1 * rows[1].mean(0), .9 + .1 * rows[1].var(0)
    np.testing.assert_allclose(moved['norm1']['mean'], mean, rtol=1e-4)
    at_rest = net.features(params['backbone'], moved, batch['input'])[0]['features']
    np.testing.assert_allclose(at_rest, np.maximum((rows[0] - mean) / np.sqrt(var + 1e-5), 0), rtol=1e-4, atol=1e-5)
    with pytest.raises(Refused, match='3 rows does not divide into domains=2'):
        net.features(params['backbone'], state['backbone'], batch['input'][:3], jax.random.key(0))


@pytest.mark.parametrize('step, moving', [(0, {'backbone', 'head', 'second'}), (1, {'head', 'second'}), (2, {'backbone'}),
                                          (5, {'backbone'}), (6, {'backbone', 'head', 'second'})])
def test_mcds_players_take_turns(batch, step, moving):
    method, params, state = made('mcd', batch=batch)
    gradient = jax.grad(lambda p: method.loss(p, state, batch, Tick(jnp.int32(step), TICK.key))[0])(params)
    assert {name for name, leaves in gradient.items() if any(np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(leaves))} == moving


def test_mcds_discrepancy_has_opposite_signs(batch):
    method, params, state = made('mcd', batch=batch)
    values = [[float(each) for each in (value, metrics['loss'], metrics['gap'])] for value, (_, metrics) in (
        method.loss(params, state, batch, Tick(jnp.int32(step), TICK.key)) for step in (0, 1, 2))]
    assert len({tuple(each[1:]) for each in values}) == 1
    error, gap = 2 * values[0][1], values[0][2]
    np.testing.assert_allclose([each[0] for each in values], [error, error - gap, gap], rtol=1e-5)


def test_mcds_heads_may_have_hidden_layers(batch):
    method = mcd(identity(5), 3, widths=(4,))
    params, state = method.init(jax.random.key(1), batch)

    def probability(head, x):
        odds = np.exp(np.maximum(np.asarray(x) @ head['dense1']['kernel'] + head['dense1']['bias'], 0) @ head['kernel'] + head['bias'])
        return odds / odds.sum(1, keepdims=True)

    rows, label = np.arange(12), np.asarray(batch['label'])
    heads = [params['head'], params['second']]
    error = -sum(np.log(probability(head, batch['input'])[rows, label]).mean() for head in heads)
    gap = np.abs(np.subtract(*(probability(head, batch['target']['input']) for head in heads))).mean()
    value = method.loss(params, state, batch, Tick(jnp.int32(1), TICK.key))[0]
    np.testing.assert_allclose(value, error - gap, rtol=1e-5)
    together = np.prod([probability(head, batch['input']) for head in heads], 0)   # logits are added
    np.testing.assert_allclose(jax.nn.softmax(method.predict(params, state, batch)['output']), together / together.sum(1, keepdims=True),
                               rtol=1e-5)


def test_a_lenet_may_end_at_its_convolutions():
    net = lenet((2, 3), dense=(), norm='batch')
    pictures = jax.random.normal(jax.random.key(0), (4, 28, 28, 1))
    taps, _ = net.features(*net.init(jax.random.key(1), pictures), pictures)
    assert taps['features'].shape == (4, net.dim) == (4, 4 * 4 * 3) and list(net.groups) == ['block1', 'block2']
    np.testing.assert_array_equal(taps['features'], np.asarray(taps['block2']).reshape(4, -1))


def test_a_group_may_have_several_turns_and_its_schedule_counts_them():
    tx = optim.group('sgd', steps=6, lr=1., schedule='linear', period=3, phase=(0, 2))
    state, moved = tx.init(jnp.zeros(1)), []
    for _ in range(6):
        update, state = tx.update(jnp.ones(1), state)
        moved.append(float(update[0]))
    np.testing.assert_allclose(moved, [-1., 0, -.75, -.5, 0, -.25])


def test_both_domains_come_apart_as_they_went_in(batch):
    net = mlp((4,))
    params, state = net.init(jax.random.key(0), batch['input'])
    head = {'kernel': jnp.ones((4, 3)), 'bias': jnp.zeros(3)}
    source, target, _ = both(net, {'backbone': params, 'head': head}, {'backbone': state}, batch)
    for found, x in ((source, batch['input']), (target, batch['target']['input'])):
        np.testing.assert_allclose(found['features'], net.features(params, state, x)[0]['features'], rtol=1e-5)


def test_adabn_stores_the_targets_statistics():
    net = conv4(width=3, size=8, blocks=1)
    rng = np.random.default_rng(0)
    pictures = [jnp.asarray(rng.normal(mean, size=(6, 8, 8, 1)), jnp.float32) for mean in (0, 3)]
    batch = {'input': pictures[0], 'label': jnp.zeros(6, int), 'target': {'input': pictures[1]}}
    method, params, state = made('adabn', net, batch)
    moved = method.loss(params, state, batch, TICK)[1][0]['backbone']['norm1']
    map = jax.lax.conv_general_dilated(pictures[1], params['backbone']['conv1']['kernel'], (1, 1), 'SAME',
                                       dimension_numbers=('NHWC', 'HWIO', 'NHWC'))
    np.testing.assert_allclose(moved['mean'], .1 * np.asarray(map).mean((0, 1, 2)), rtol=1e-4, atol=1e-6)


def test_pseudo_labels_are_those_of_the_nearest_centroid():
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1, 2], 20)
    features = np.eye(3)[truth] * 3 + rng.normal(size=(60, 3)) * .4
    said = np.eye(4)[np.where(rng.uniform(size=60) < .3, rng.integers(3, size=60), truth)] * 2   # a third at random; class 3 never
    label = centroids(features, said)
    assert (label == truth).mean() > .95 > (said.argmax(1) == truth).mean() and 3 not in label
    columns, belongs = np.column_stack([features, np.ones(60)]), softmax(said)
    for _ in range(2):   # written out, row by row
        means = [np.average(columns, axis=0, weights=each) if each.any() else None for each in belongs.T]
        cosine = [[-9 if mean is None else row @ mean / np.linalg.norm(row) / np.linalg.norm(mean) for mean in means] for row in columns]
        first = np.argmax(cosine, 1)
        belongs = np.eye(4)[first]
    np.testing.assert_array_equal(label, first)


def test_the_target_is_augmented_by_draws_of_its_own():
    prepare = augment.augmented([augment.flip(probability=.5)])
    picture = np.tile(np.arange(2.)[None, None, :, None], (64, 1, 1, 1))
    keys = np.random.default_rng(0).integers(2 ** 32, size=(64, 2), dtype=np.uint32)
    batch = prepare({'input': picture, 'key': keys, 'target': {'input': picture}})
    flipped = [np.asarray(each)[:, 0, 0, 0] == 1 for each in (batch['input'], batch['target']['input'])]
    assert 16 < flipped[0].sum() < 48 and 16 < flipped[1].sum() < 48 and (flipped[0] != flipped[1]).any()
    assert 'key' not in batch


def study(strategy):
    """The smallest phases of a strategy of configs/adapt.py."""
    return configuration.phases(adapt.get_config(f'train={strategy},smoke'))


def test_a_study_of_one_method_has_the_source_alone_beside_it():
    config = adapt.get_config('method=shot,smoke')
    (_, source), (_, last) = configuration.phases(config)
    baseline = configuration.merge(last, configuration.plain(config.study.strategies.source_only))
    assert source['method'] == baseline['method'] == {'name': 'finetune'} and baseline['data']['name'] == 'domains'
    assert list(config.study.strategies) == ['source_only', 'shot']
    assert [name for name, _ in configuration.phases(adapt.get_config('train=cdan'))] == ['adapt']


def test_networks_that_part_the_domains_do_so_where_a_batch_has_both():
    config = configuration.plain(adapt.get_config('data=mnist-usps'))
    source, adapted = (phase['net'].get('domains') for _, phase in configuration.phases(config))
    alone = {name for name, changes in config['study']['strategies'].items() if changes.get('net', {}).get('domains') == 1}
    assert source == 1 and adapted is None and alone == {'source_only', 'adabn', 'adda', 'shot'}


def test_adda_starts_from_the_source_and_moves_the_targets_encoder_alone(tmp_path):
    _, fitted = build.fit_phases(study('adda'), tmp_path)
    first = load_final(tmp_path / '00-source')[0]
    jax.tree.map(np.testing.assert_array_equal, fitted.params['source'], first['backbone'])
    jax.tree.map(np.testing.assert_array_equal, fitted.params['head'], first['head'])
    assert all((a != b).any() for a, b in zip(jax.tree.leaves(fitted.params['backbone']), jax.tree.leaves(first['backbone']), strict=True))


def test_shot_sees_no_source_and_keeps_its_head(tmp_path):
    phases = study('shot')
    assert phases[1][1]['data'] == {'name': 'digits'}
    run, fitted = build.fit_phases(phases, tmp_path)
    jax.tree.map(np.testing.assert_array_equal, fitted.params['head'], load_final(tmp_path / '00-source')[0]['head'])
    batches = [run.stream.batch(seed, 0) for seed in (0, 1)]
    truth = [build.load({'name': 'digits'})['train'].take(run.stream.index(seed, 0)['rows'])['label'] for seed in (0, 1)]
    assert any((batch['label'] != label).any() for batch, label in zip(batches, truth, strict=True)), 'the true labels are not used'


def test_pseudo_labels_want_a_run_and_one_set():
    for changes in ({'data': {'name': 'digits', 'size': 8}}, DOMAINS):
        with pytest.raises(Refused, match='labels one set by a finished run'):
            build.build(tiny({'pseudo': {'name': 'centroids'}}, changes))


def test_what_a_score_chooses_is_looked_up_in_the_test_accuracy():
    from tljax.studies.comparison import Measured, chosen_by_budget
    from tljax.studies.label_free import Judgement
    values = {('a', None): np.array([.5, .9]), ('b', None): np.array([.7, .6])}
    judgements = {('a', None): Judgement({'sure': [1., 1.]}, [.1, .2], None, None),
                  ('b', None): Judgement({'sure': [2., np.nan]}, [.3, .4], None, None)}
    whole = chosen_by_budget(Measured('accuracy', values, judgements, True))
    found = {row['score']: row for row in whole['rows']}
    assert found['sure']['picks'] == ['b', 'a'] and found['sure']['mean'] == pytest.approx(.8)
    assert found['oracle']['picks'] == ['b', 'a'] and whole['proxy_a_distance']['b, all labels'] == [.3, .4]


def test_proxy_a_distance_of_domains_that_agree_and_that_do_not():
    from tljax.when.distances import proxy_a_distance
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4, 400, 3))
    assert proxy_a_distance(x[0], x[1]) < .3 < 1.9 < proxy_a_distance(x[0], x[1] + 5)
    shifted = proxy_a_distance(x[0], x[1] + np.array([2., 0, 0]))   # the best threshold errs with probability Phi(-1) = 0.159
    assert shifted == pytest.approx(2 * (1 - 2 * .1587), abs=.15)
    with pytest.raises(ValueError, match='ten finite rows'):
        proxy_a_distance(x[0][:5], x[1])


@pytest.mark.parametrize('changes, said', [
    ({'data': {'name': 'digits', 'size': 8}, 'method': {'name': 'dann'}}, 'takes unlabelled inputs of a target beside labelled ones'),
    ({**DOMAINS, 'method': {'name': 'dan'}, 'batch': 1}, '1 row of a domain on a device has no discrepancy'),
    ({'data': {'name': 'sine'}, 'net': {'name': 'mlp'}, 'method': {'name': 'dann'}}, 'domain adaptation needs classes'),
    ({'data': {'name': 'sine'}, 'net': {'name': 'mlp'}, 'method': {'name': 'mcd'}}, 'mcd needs classes'),
    ({'data': {'name': 'digits', 'size': 8}, 'method': {'name': 'shot'}}, 'takes pseudo-labels: set pseudo.name=centroids')])
def test_what_a_method_lacks_is_told_in_one_line(changes, said, tmp_path):
    from tljax.engine.train import fit
    with pytest.raises(Refused, match=said):
        fit(build.build(tiny({'net': {'norm': 'layer'}} if 'net' not in changes else {}, changes)), tmp_path)


def test_fixmatch_learns_from_strongly_augmented_pictures_what_it_is_sure_of():
    flat = identity(6)._replace(features=lambda params, state, input, key=None: ({'features': input.reshape(len(input), -1)}, state))
    rng = np.random.default_rng(0)
    x, u = rng.normal(size=(2, 8, 2, 3, 1)).astype(np.float32)
    label = rng.integers(3, size=8)
    keywords = {'weak': [{'name': 'crop', 'padding': 0}], 'strong': [{'name': 'flip', 'probability': 1.}], 'threshold': .7, 'weight': 2.}
    method = tljax.methods.semi_supervised_learning.fixmatch(flat, 3, **keywords)
    head = {'kernel': rng.normal(size=(6, 3)).astype(np.float32), 'bias': np.arange(3.)}
    batch = {'input': x, 'label': label, 'target': {'input': u}}

    def loss(head):
        return method.loss({'backbone': {}, 'head': head}, {'backbone': {}}, batch, TICK)

    def probability(pictures):
        return softmax(pictures.reshape(8, -1) @ head['kernel'] + head['bias'])

    value, (_, metrics) = loss(head)
    told = probability(u)
    hard = -np.log(probability(u[:, :, ::-1])[np.arange(8), told.argmax(1)])
    sure = told.max(1) >= .7
    assert 0 < sure.sum() < 8
    np.testing.assert_allclose(metrics['unlabelled'], (sure * hard).mean(), rtol=1e-5)
    np.testing.assert_allclose(value, -np.log(probability(x)[np.arange(8), label]).mean() + 2 * (sure * hard).mean(), rtol=1e-5)
    flipped = u[:, :, ::-1].reshape(8, -1)   # no gradient through what it is told
    error = sure[:, None] * (probability(u[:, :, ::-1]) - np.eye(3)[told.argmax(1)])
    mine = (probability(x) - np.eye(3)[label]) / 8
    expected = x.reshape(8, -1).T @ mine + 2 * flipped.T @ error / 8
    np.testing.assert_allclose(jax.grad(lambda head: loss(head)[0])(head)['kernel'], expected, rtol=1e-4, atol=1e-5)
