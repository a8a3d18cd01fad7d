"""The study of two feature spaces: no leak, scores by other means, words and pictures, refusals."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from commands import call, error
from PIL import Image
from sklearn.linear_model import LogisticRegression

from configs import by_labels, languages
from tljax import build
from tljax.configuration import plain
from tljax.core import UserError
from tljax.shallow.crossview import kernel_cca
from tljax.studies.crossview import COPIED, OWN, transfer
from tljax.studies.crossview_draws import Examples, Sides, _labelled_and_paired, draw, loaded

NUSAX = Path(os.environ.get('TLJAX_DATA', 'data'), 'nusax', 'nusax_senti.zip')
DIGITS = dict(source=dict(name='digits', size=8), target=dict(name='digits', size=4))


@pytest.fixture
def config():
    """The config of a study of digits in two sizes."""
    return {**plain(languages.get_config('smoke')), 'seeds': [5, 6, 7]}


def side(n, first=0):
    """Examples whose features tell their number."""
    names = np.array([f'{i}' for i in range(first, first + n)])
    return Examples(np.eye(40)[first : first + n], np.arange(n) % 2, names)


def test_no_example_is_labelled_and_paired_and_pairs_agree():
    train, scored = side(30), side(10, 30)
    order = np.random.default_rng(0).permutation(30)[:25]  # the target lacks five, in other order
    sides = Sides(train, train.rows(order), scored, scored.rows(np.arange(9, -1, -1)))
    config = dict(labels=10, pairs=12, per_class=0, words=None, letters=None)
    drawn = set()
    for seed in range(20):
        one = draw(sides, config, seed, 'a')
        xs, ps, pt, x, halves, xt = (
            z.argmax(1).tolist() for z in (one.xs, one.ps, one.pt, one.x, one.halves, one.own.xt)
        )
        assert len({*xs}) == 10 and len({*ps}) == 12 and not {*xs} & {*ps}
        assert ps == pt and x == halves and xs == xt and {*x} == {*range(30, 40)}
        assert {*xs, *ps} <= {*order.tolist()}
        assert (one.ys == np.array(xs) % 2).all() and (one.own.yt == one.ys).all()
        drawn.add(tuple(sorted(ps)))
    assert len(drawn) > 15


@pytest.mark.skipif('TLJAX_DATA' not in os.environ, reason='real data sets are not at hand')
def test_no_real_sentence_is_in_two_parts():
    config = plain(languages.get_config('target=balinese'))
    sides = loaded(config['tasks']['balinese'], 'balinese', 'test')
    assert len(sides.target_scored.names) == 400
    for seed in config['seeds']:
        labelled, paired = _labelled_and_paired(sides, config, seed, 'balinese')
        for number, (train, scored) in enumerate(
            [(sides.source, sides.source_scored), (sides.target, sides.target_scored)]
        ):
            parts = [train.rows(labelled[number]), train.rows(paired[number]), scored]
            assert [len(part.names) for part in parts] == [250, 250, 400]
            assert len({name for part in parts for name in part.names}) == 900
            assert len({text.lower() for part in parts for text in part.input}) == 900
        assert (sides.source.rows(paired[0]).names == sides.target.rows(paired[1]).names).all()


def test_without_pairs_no_example_is_labelled_in_both_spaces():
    sides = Sides(side(30), side(30), side(10, 30), side(10, 30))
    config = dict(labels=0, pairs=0, per_class=3, words=None, letters=None)
    for seed in range(5):
        one = draw(sides, config, seed, 'a')
        source, target = one.xs.argmax(1), one.own.xt.argmax(1)
        assert len(source) == 24 and np.bincount(one.own.yt).tolist() == [3, 3]
        assert not set(source) & set(target) and one.halves is None and not len(one.ps)


def test_scores_are_those_of_scikit_learn_on_the_same_draws(config, tmp_path):
    config['methods'] = {'kernel_cca': dict(name='kernel_cca', dim=10, penalty=0.5)}
    config |= dict(strength=1.0, rival_strength=5.0)
    results = transfer(config, tmp_path)
    stored = json.loads((tmp_path / 'results.json').read_text())
    assert stored['rows'] == json.loads(json.dumps(results['rows']))
    values = {row['method']: row['values'] for row in results['rows']}
    source, target = (build.load(DIGITS[name]) for name in ('source', 'target'))

    def part(splits, split):
        batch = splits[split].take(np.arange(splits[split].size))
        return batch['input'].reshape(splits[split].size, -1).astype(float), batch['label']

    (xs, ys), (xt, _) = part(source, 'train'), part(target, 'train')
    x, y = part(target, 'test')
    for k, seed in enumerate(config['seeds']):
        order = np.random.default_rng([18, seed]).permutation(len(xs))
        labelled, paired = order[:60], order[60:140]
        own = LogisticRegression(C=5.0, max_iter=2000).fit(xt[labelled], ys[labelled])
        assert values[OWN][k] == pytest.approx(own.score(x, y))
        teacher = LogisticRegression(C=5.0, max_iter=2000).fit(xs[labelled], ys[labelled])
        copied = LogisticRegression(C=5.0, max_iter=2000).fit(
            xt[paired], teacher.predict(xs[paired])
        )
        assert values[COPIED][k] == pytest.approx(copied.score(x, y))
        views = kernel_cca(xs[paired], xt[paired], dim=10, penalty=0.5)
        zs, zt = (
            z / np.linalg.norm(z, axis=1)[:, None] for z in (views.source(xs), views.target(x))
        )
        common = LogisticRegression(max_iter=2000).fit(zs[labelled], ys[labelled])
        assert values['kernel_cca'][k] == pytest.approx(common.score(zt, y))
    gain = next(gain for gain in results['gains'] if gain['over'] == OWN)
    expected = np.mean(values['kernel_cca']) - np.mean(values[OWN])
    assert gain['mean'] == pytest.approx(expected)
    found = next(row for row in results['rows'] if row['method'] == 'kernel_cca')['found']
    assert found[0] > 0.8 and '<svg' in (tmp_path / 'report.html').read_text()


def test_words_teach_pictures(config, tmp_path):
    """Captions name the bright places of a picture, and one of two classes is brighter on top."""
    rng = np.random.default_rng(0)
    lines = ['file,caption,label']
    for i in range(400):
        places = rng.choice(4, 3, p=[(0.4, 0.4, 0.1, 0.1), (0.1, 0.1, 0.4, 0.4)][i % 2])
        pixels = rng.integers(0, 40, (4, 4), np.uint8)
        for place in places:
            pixels[place] += 60
        Image.fromarray(pixels).save(tmp_path / f'{i}.png')
        words = ' '.join(('top', 'high', 'low', 'bottom')[place] for place in places)
        lines.append(f'{i}.png,{words},{("up", "down")[i % 2]}')
    table = tmp_path / 'words.csv'
    table.write_text('\n'.join(lines))
    config |= dict(
        tasks={
            'pictures': dict(
                source=dict(name='captions', path=str(table)),
                target=dict(name='listed', path=str(table), size=4, channels=1),
            )
        },
        methods={'translated': dict(name='translated_learning')},
        labels=60,
        pairs=200,
        letters=[],
        seeds=[5, 6],
    )
    rows = {row['method']: row for row in transfer(config, tmp_path / 'run')['rows']}
    assert rows['translated']['mean'] > 0.8 and rows['translated']['found'] is None


def test_methods_learn_from_labels_where_there_are_no_pairs(tmp_path):
    config = plain(by_labels.get_config('smoke'))
    results = transfer(config, tmp_path)
    assert [row['method'] for row in results['rows']] == [OWN, 'hfa']
    assert [gain['over'] for gain in results['gains']] == [OWN]


@pytest.mark.parametrize(
    'change, said',
    [
        (dict(seeds=[5]), 'seeds=[5]: intervals need two draws or more'),
        (dict(classifier='knn'), "classifier='knn' is unknown: there are logistic, svm"),
        (dict(strength=0), 'strength=0: give a positive number'),
        (dict(methods={}), 'methods is empty: name one or more'),
        (
            dict(methods={'a': dict(name='ccaa')}),
            "methods.a.name='ccaa' is unknown: did you mean cca",
        ),
        (dict(methods={'a': dict(name='lsi', dims=3)}), 'methods.a.dims is unknown to lsi'),
        (dict(pairs=0, per_class=1), 'methods.lsi: lsi learns from pairs, and pairs=0'),
        (dict(pairs=5000), 'tasks.sizes: labels=60 and pairs=5000 of the 899 training examples'),
        (dict(split='tests'), "split='tests': tasks.sizes.source has none: did you mean test?"),
        (dict(split='train'), 'tasks.sizes: 899 examples are learnt from and scored'),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else '',
)
def test_what_no_draw_can_have_is_refused(config, tmp_path, change, said):
    with pytest.raises(UserError) as caught:
        transfer({**config, **change}, tmp_path)
    assert said in str(caught.value) and '\n' not in str(caught.value)


def test_sets_of_other_classes_are_refused(tmp_path):
    path = tmp_path / 'SMSSpamCollection'
    path.write_text('ham\tsee you\n' * 8 + 'spam\tCall now\n' * 8)
    task = {**DIGITS, 'target': dict(name='sms_spam', path=str(path))}
    with pytest.raises(UserError, match="the target \\('ham', 'spam'\\): give both the same"):
        loaded(task, 'a', 'test')


def test_a_language_without_pairs_is_refused():
    sides = Sides(side(30), side(30, 100), side(10, 30), side(10, 30))
    config = dict(labels=4, pairs=4, per_class=0, words=None, letters=None)
    with pytest.raises(UserError, match='of the 0 training examples that have a pair by name'):
        draw(sides, config, 0, 'a')


def test_the_command_prints_its_tables(tmp_path):
    done = call('crossview', '--config=configs/languages.py:smoke', f'--workdir={tmp_path}')
    assert done.code == 0, done.err
    assert 'Pairs that are found' in done.out and 'kernel_cca' in done.out
    flags = '--config.labels=1', f'--workdir={tmp_path}'
    done = call('crossview', '--config=configs/languages.py:smoke', *flags)
    assert 'labels=1 and pairs=80' in error(done)
