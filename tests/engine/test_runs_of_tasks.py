"""A run of several tasks, from data to predictions: scores, log, choice, answers, donors."""

import json

import jax
import numpy as np
import pytest
from tiny import tiny

import tljax
from tljax import build
from tljax.core import Task, UserError, known
from tljax.data.formats.arrays import arrays
from tljax.data.wrappers.joint_tasks import joint_tasks
from tljax.engine.answers import read_answers
from tljax.engine.log import read
from tljax.engine.train import fit
from tljax.program import predictor
from tljax.studies import training
from tljax.trained import load

DATA = {
    'name': 'joint_tasks',
    'of': {
        'read': {'name': 'digits', 'size': 8},
        'print': {'name': 'glyphs', 'part': 'digits', 'size': 8, 'per_class': 10},
    },
    'shares': 'equal',
}
SMALL = {'data': DATA, 'method': {'name': 'hard_sharing'}, 'net': {'blocks': 1, 'norm': 'layer'}}


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """A finished run of two tasks, its folder and its results."""
    folder = tmp_path_factory.mktemp('tasks')
    settings = tiny(SMALL, {'steps': 6, 'eval_every': 2, 'keep': 'best', 'seeds': [0, 1]})
    results = training.train({**settings, 'phases': {}}, folder)
    return folder / results['folder'], results


def points(kind):
    """A set of numbers, classes or labels on the same inputs."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 3)).astype('f')
    y = x @ np.array([[1.0, 0, 1], [0, 1, 1], [1, 1, 0]])
    if kind == 'numbers':
        return {split: arrays(x, y[:, 0].astype('f')) for split in ('train', 'validation', 'test')}
    label = (y > 0).astype('f')
    if kind == 'labels':
        dataset = arrays(x, label)._replace(task=Task('labels', ('u', 'v', 'w')))
    else:
        dataset = arrays(x, (y[:, 0] > 0).astype(int), ('low', 'high'))
    return dict.fromkeys(('train', 'validation', 'test'), dataset)


def test_every_task_has_scores_of_its_own_examples(run):
    folder, results = run
    splits = build.load(DATA)
    model = load(folder)
    assert list(results['scores']) == [
        f'{split}, {task}'
        for split in ('train', 'validation', 'test')
        for task in ('read', 'print')
    ]
    for split, dataset in splits.items():
        rows = dataset.take(np.arange(dataset.size))
        output = predictor(model.record).run(model.params, model.state, rows)['output']
        for task, is_known in known(dataset.label).items():
            right = np.asarray(output[task].argmax(-1) == dataset.label[task])[:, is_known].mean(1)
            found = results['scores'][f'{split}, {task}']['accuracy']
            np.testing.assert_allclose(found, right, atol=1e-6)
    assert {row['split'] for row in results['rows']} == set(results['scores'])


def test_the_log_and_the_choice_know_every_task(run):
    folder, results = run
    records = read(folder / 'log.jsonl')
    assert {'training', 'validation, read', 'validation, print'} <= {r['kind'] for r in records}
    training_record = next(record for record in records if record['kind'] == 'training')
    assert {'loss', 'accuracy', 'loss of read', 'loss of print'} <= set(training_record)
    by_step = {}
    for record in records:
        if record['kind'].startswith('validation'):
            by_step.setdefault(record['step'], []).append(record['accuracy'])
    means = {step: np.mean(values, 0) for step, values in by_step.items()}
    best = np.max(list(means.values()), 0)
    np.testing.assert_allclose(results['kept']['score'], best)  # of the mean over tasks


def test_answers_and_the_page_are_by_task(run):
    folder, results = run
    rows = read_answers(folder / 'answers.csv')
    splits = build.load(DATA)
    for split in ('validation', 'test'):
        for task, is_known in known(splits[split].label).items():
            part = rows[f'{split}, {task}']
            assert len(part) == is_known.sum()
            right = np.mean([row['answer'] == row['label'] for row in part])
            assert 0 <= right <= 1
            classes = splits[split].task.by_name[task].names
            labels = [classes[i] for i in splits[split].label[task][is_known]]
            assert [row['label'] for row in part] == labels
    page = (folder / 'report.html').read_text()
    assert (
        'Class by class, test, read split' in page and 'Class by class, test, print split' in page
    )
    assert json.loads((folder / 'data.json').read_text())[0][1].startswith('2 tasks: read (10')


def test_a_model_answers_one_task_by_name(run):
    folder, _ = run
    model = load(folder)
    inputs = tljax.data.digits(size=8)['test'].take(np.arange(5))['input']
    with pytest.raises(UserError, match='this model has several tasks.* give one of read, print'):
        model.predict(inputs)
    with pytest.raises(UserError, match="this model has no task 'reed': did you mean read"):
        model.for_task('reed')
    answers = {task: model.for_task(task).predict(inputs) for task in ('read', 'print')}
    assert not np.allclose(*answers.values())
    features = model.features(inputs, seed=1)
    head = jax.tree.map(lambda leaf: leaf[1], model.params['head']['print'])
    one_seed = model._replace(
        params=jax.tree.map(lambda leaf: leaf[1:], model.params),
        state=jax.tree.map(lambda leaf: leaf[1:], model.state),
    ).for_task('print')
    logits = features @ head['kernel'] + head['bias']
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(one_seed.predict(inputs), expected, rtol=1e-4)
    assert one_seed.classes == tuple('0123456789') and one_seed.task == 'classes'


def test_tasks_of_three_kinds_train_in_one_step_and_answer(tmp_path):
    joint = joint_tasks({kind: points(kind) for kind in ('classes', 'numbers', 'labels')}, 'equal')
    model = tljax.train(
        data=joint,
        net={'name': 'identity', 'dim': 3},
        method='hard_sharing',
        workdir=tmp_path,
        steps=400,
        batch=24,
        optim={'lr': 0.05},
    )
    assert model.scores['test, classes']['accuracy'][0] > 0.9
    assert model.scores['test, numbers']['rmse'][0] < 0.1
    assert model.scores['test, labels']['mean_average_precision'][0] > 0.9
    x = points('numbers')['test'].take(np.arange(4))
    np.testing.assert_allclose(
        model.for_task('numbers').predict(x['input']).ravel(), x['label'], atol=0.2
    )
    probabilities = model.for_task('labels').predict(x['input'])
    assert probabilities.shape == (4, 3) and ((probabilities >= 0) & (probabilities <= 1)).all()
    rows = read_answers(tmp_path / 'answers.csv')
    assert set(rows['test, labels'][0]) >= {'label u', 'probability of u'}
    with pytest.raises(UserError, match='the tasks are scored by accuracy, rmse, mean_average'):
        tljax.train(
            data=joint,
            net={'name': 'identity', 'dim': 3},
            method='hard_sharing',
            workdir=tmp_path / 'best',
            keep='best',
            eval_every=2,
            steps=4,
        )


@pytest.mark.slow
def test_a_task_after_another_starts_from_its_network_and_heads_fit_by_name(tmp_path):
    def of(*tasks):
        return {'data': {'name': 'chosen_tasks', 'of': DATA, 'tasks': list(tasks)}}

    first = fit(build.build(tiny(SMALL, of('read'))), tmp_path / 'read')
    donor = {'init': {'path': str(tmp_path / 'read')}, 'steps': 0}
    later = fit(build.build(tiny(SMALL, of('print'), donor)), tmp_path / 'print')
    for a, b in zip(
        jax.tree.leaves(first.params['backbone']),
        jax.tree.leaves(later.params['backbone']),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)
    assert not later.params['head']['print']['kernel'].any()
    both = {'init': {**donor['init'], 'rules': [['(backbone|head/read)/.*', None]]}, 'steps': 0}
    joint = fit(build.build(tiny(SMALL, both)), tmp_path / 'both')
    np.testing.assert_array_equal(
        joint.params['head']['read']['kernel'], first.params['head']['read']['kernel']
    )
    glyphs = {'name': 'glyphs', 'size': 8, 'classes': 10, 'per_class': 10}
    other = {'data': {'of': {'read': glyphs}}}
    with pytest.raises(
        UserError, match='for the task read knows the classes 0, 1, 2.* this data has'
    ):
        build.build(tiny(SMALL, other, both))


@pytest.mark.slow
def test_columns_start_from_one_donor(tmp_path):
    fit(build.build(tiny(SMALL)), tmp_path / 'donor')
    stitched = {'method': {'name': 'cross_stitch'}, 'init': {'path': str(tmp_path / 'donor')}}
    run = build.build(tiny(SMALL, stitched))
    params, _ = run.init(0)
    donor = load(tmp_path / 'donor').params['backbone']['conv1']['kernel'][0]
    for column in params['backbone']['conv1']['kernel']:
        np.testing.assert_array_equal(column, donor)
    fit(run._replace(steps=1), tmp_path / 'stitched')
    with pytest.raises(UserError, match='this run has a network for each task'):
        load(tmp_path / 'stitched').features(np.zeros((1, 8, 8, 1)))


@pytest.mark.parametrize(
    'changes, said',
    [
        ({'data': {'name': 'digits', 'size': 8}}, "'hard_sharing' takes several tasks: give"),
        ({'method': {'name': 'finetune'}}, r"'finetune' takes labelled examples.*gives tasks"),
        ({'pseudo': {'name': 'given'}, 'class_weights': 'balanced'}, 'class_weights'),
        ({'method': {'weights': {'write': 1.0}}}, 'method.weights.write is no task'),
    ],
)
def test_settings_that_do_not_fit_several_tasks_are_refused(changes, said, tmp_path):
    with pytest.raises(UserError, match=said):
        fit(build.build(tiny(SMALL, changes)), tmp_path)
