"""The study of instance transfer against scikit-learn on the same draws, and what it refuses."""

import json
import zipfile

import numpy as np
import pytest
import scipy.sparse as sparse
from commands import call, error
from scipy import stats
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import MultinomialNB

from configs import newsgroups
from tljax import build
from tljax.configuration import plain
from tljax.core import UserError
from tljax.studies.instances import _flip, transfer

WORDS = {'rec': 'goal wheel race engine', 'sci': 'cell orbit code voltage'}
GROUPS = {'rec': ('rec.autos', 'rec.sport'), 'sci': ('sci.space', 'sci.med')}


@pytest.fixture(scope='module')
def posts(tmp_path_factory):
    """A ZIP of four groups of 30 posts. Words tell the classes apart, not surely. Every post has
    a word of its own."""
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp('posts') / 'posts.zip'
    with zipfile.ZipFile(path, 'w') as file:
        for name, groups in GROUPS.items():
            for i, group in enumerate(groups):
                own = WORDS[name].split()[i : i + 3]
                others = [f'word{j}' for j in range(30)] + ' '.join(WORDS.values()).split()
                for number in range(30):
                    text = ' '.join(
                        [*rng.choice(own, 2), *rng.choice(others, 6), f'a{rng.random()}']
                    )
                    file.writestr(f'{group}/{number}', f'Newsgroups: {group}\n\n{text}')
    return path


@pytest.fixture
def config(posts):
    """The config of a study of these posts."""
    config = plain(newsgroups.get_config('smoke'))
    source, target = (
        dict(
            name='newsgroups',
            path=str(posts),
            classes={name: [groups[i]] for name, groups in GROUPS.items()},
        )
        for i in (0, 1)
    )
    return {
        **config,
        'tasks': {'rec-sci': dict(source=source, target=target)},
        'labels': [10],
        'seeds': [5, 6, 7],
        'words': 40,
        'rounds': 4,
    }


def examples(data):
    """Texts and labels of all splits of a set, in their order."""
    splits = build.load(data).values()
    parts = [split.take(np.arange(split.size)) for split in splits]
    return [np.concatenate([part[key] for part in parts]) for key in ('input', 'label')]


def test_errors_are_those_of_scikit_learn_on_the_same_draws(config, tmp_path):
    results = transfer({**config, 'flipped': [0.0]}, tmp_path)
    (row,) = results['rows']
    assert json.loads((tmp_path / 'results.json').read_text())['rows'][0]['errors'] == row['errors']
    (source, ys), (target, yt) = map(examples, config['tasks']['rec-sci'].values())
    for k, seed in enumerate(config['seeds']):
        some, rest = train_test_split(np.arange(60), train_size=10, stratify=yt, random_state=seed)
        words = TfidfVectorizer(max_features=40).fit([*source, *target[some]])
        xs, xt, x = (words.transform(texts) for texts in (source, target[some], target[rest]))
        both, labels = sparse.vstack([xs, xt]), np.concatenate([ys, yt[some]])
        expected = {
            'target only': MultinomialNB(alpha=0.1).fit(xt, yt[some]),
            'source only': MultinomialNB(alpha=0.1).fit(xs, ys),
            'pooled': MultinomialNB(alpha=0.1).fit(both, labels),
            # weights that average 1, half of them for the target: 70 / 120 and 70 / 20
            'balanced': MultinomialNB(alpha=0.1).fit(
                both, labels, sample_weight=np.repeat([7 / 12, 7 / 2], [60, 10])
            ),
        }
        for method, learner in expected.items():
            error = (learner.predict(x) != yt[rest]).mean()
            assert row['errors'][method][k] == pytest.approx(error), (method, seed)
    gain = row['gains']['source only']
    difference = np.subtract(row['errors']['source only'], row['errors']['TrAdaBoost'])
    assert gain['mean'] == pytest.approx(difference.mean())
    low, high = stats.t.interval(0.95, 2, difference.mean(), stats.sem(difference))
    assert (gain['low'], gain['high']) == pytest.approx((low, high))
    assert row['largest'] == 0.5 and row['ratio'] is None


def test_flipped_labels_are_as_many_as_asked_for_and_wrong():
    label = np.arange(50) % 3
    flipped, which = _flip(label, 3, 0.2, seed=4)
    assert which.sum() == 10 and ((flipped != label) == which).all() and set(flipped) == {0, 1, 2}
    assert (_flip(label, 3, 0.2, seed=4)[0] == flipped).all()
    assert (_flip(label, 3, 0.2, seed=5)[0] != flipped).any()
    assert not _flip(label, 3, 0.0, seed=4)[1].any()


def test_boosting_takes_weight_from_flipped_examples(config, tmp_path):
    (row,) = transfer({**config, 'flipped': [0.2]}, tmp_path)['rows']
    assert len(row['ratios']) == 3 and row['ratio'][0] < 0.9
    assert row['ratio'][0] == pytest.approx(np.mean(row['ratios']))


def test_a_learner_that_fits_everything_gains_nothing_over_its_start(config, tmp_path):
    config = {**config, 'learner': 'svm', 'words': None}
    (row,) = transfer({**config, 'flipped': [0.0]}, tmp_path)['rows']
    assert row['fitted'] == 3
    assert row['errors']['TrAdaBoost'] == row['errors']['balanced']


@pytest.mark.parametrize(
    'changes, said',
    [
        ({'learner': 'knn'}, "learner='knn' is unknown: there are naive_bayes, logistic, svm"),
        ({'seeds': [3]}, 'seeds=[3]: intervals need two draws or more'),
        ({'flipped': [1.0]}, 'flipped=1.0: give shares from 0 to below 1'),
        ({'labels': [60]}, 'labels=60: give from 2 to 58, of a target with two examples of each'),
        ({'start': 'equal'}, "start='equal': give balanced, uniform"),
        ({'words': 0}, 'words=0: give a whole number of 1 or more'),
    ],
)
def test_settings_that_do_not_fit(config, changes, said, tmp_path):
    with pytest.raises(UserError) as refused:
        transfer({**config, **changes}, tmp_path)
    assert said in str(refused.value) and '\n' not in str(refused.value)


def test_domains_that_do_not_fit(config, tmp_path):
    task = config['tasks']['rec-sci']
    digits, moons = {'name': 'digits', 'size': 8}, {'name': 'sine'}
    other = {**task['target'], 'classes': {'a': ['rec.autos'], 'b': ['sci.space']}}
    for target, said in (
        (
            other,
            "tasks.a: the source has the classes ('rec', 'sci') and the target ('a', 'b'): give",
        ),
        (digits, 'tasks.a: the source has the classes'),
        (moons, 'tasks.a.target asks for numbers: give a set with one class per example'),
    ):
        with pytest.raises(UserError) as refused:
            transfer({**config, 'tasks': {'a': {**task, 'target': target}}}, tmp_path)
        assert said in str(refused.value)


def test_the_command_prints_errors_and_gains(tmp_path):
    done = call('instances', '--config=configs/newsgroups.py:smoke', f'--workdir={tmp_path}')
    assert done.code == 0, done.err[-2000:]
    assert 'printed-handwritten' in done.out and 'over balanced' in done.out
    page = (tmp_path / 'report.html').read_text()
    assert 'flipped : clean is the mean weight' in page
    line = error(call('shallow', '--config=configs/newsgroups.py'))
    assert 'configs/newsgroups.py is a config of experiments.instances' in line


@pytest.mark.parametrize(
    'arg, tasks, labels, flipped',
    [
        (None, ['rec-talk', 'rec-sci', 'sci-talk', 'comp-talk'], (12, 40), (0.0,)),
        ('pair=sci-talk,labels=40,flipped=.2', ['sci-talk'], (40,), (0.2,)),
        ('spam,labels=100', ['calls-others', 'offers-messages'], (100,), (0.0,)),
    ],
)
def test_options_of_the_config(arg, tasks, labels, flipped):
    config = newsgroups.get_config(arg)
    assert (list(config.tasks), config.labels, config.flipped) == (tasks, labels, flipped)
    assert config.seeds[0] == 1000 and len(config.seeds) == 30
    with pytest.raises(ValueError, match='pair=rec-sci is no pair of spam'):
        newsgroups.get_config('spam,pair=rec-sci')


def test_source_and_target_of_a_pair_share_no_group():
    for source, target in newsgroups.PAIRS.values():
        assert source.keys() == target.keys()
        groups = [group for side in (source, target) for each in side.values() for group in each]
        assert len(groups) == len(set(groups)) >= 8
        assert all(
            group.startswith(name)
            for side in (source, target)
            for name in side
            for group in side[name]
        )
