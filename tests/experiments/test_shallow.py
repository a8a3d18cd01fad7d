"""The command for shallow adaptation, as a user runs it."""

import json

import numpy as np
import pytest
from commands import call, error
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from tljax import build
from tljax.when.selection import information_maximisation


def shallow(workdir, *flags):
    return call(
        'shallow', '--config=configs/office_caltech.py:smoke', f'--workdir={workdir}', *flags
    )


def test_the_source_alone_is_scikit_learns_and_every_choice_follows_from_the_scores(tmp_path):
    done = shallow(tmp_path)
    assert done.code == 0, done.err[-2000:]
    results = json.loads((tmp_path / 'results.json').read_text())
    accuracy = {(row['method'], row['source']): row['mean'] for row in results['rows']}
    rows = {}
    for name, data, split in (
        ('printed', {'name': 'glyphs', 'part': 'digits', 'size': 8, 'per_class': 10}, 'train'),
        ('handwritten', {'name': 'digits', 'size': 8}, 'validation'),
    ):
        dataset = build.load(data)[split]
        taken = dataset.take(np.arange(dataset.size))
        rows[name] = (
            StandardScaler().fit_transform(taken['input'].reshape(dataset.size, -1)),
            taken['label'],
        )
    nearest = KNeighborsClassifier(1).fit(*rows['printed'])
    assert accuracy['source only, nearest', 'printed'] == pytest.approx(
        nearest.score(*rows['handwritten'])
    )
    picks = {row['score']: row['picks'] for row in results['chosen']}
    assert all(
        accuracy[picks['oracle'][task], task.split('-')[0]]
        == max(value for (_, source), value in accuracy.items() if source == task.split('-')[0])
        for task in picks['oracle']
    )
    assert information_maximisation(nearest.predict_proba(rows['handwritten'][0])) <= np.log(10)
    gain = next(
        row for row in results['rows'] if row['method'] == 'tca' and row['source'] == 'printed'
    )
    assert gain['gain'] == pytest.approx(
        gain['mean'] - accuracy['source only, nearest', 'printed'], abs=1e-9
    )
    page = (tmp_path / 'report.html').read_text()
    assert 'sees target labels' in page and '<svg' in page and 'negative' in page


@pytest.mark.parametrize(
    'flags, said',
    [
        (
            ["--config.tasks=('printed-drawn',)"],
            "tasks='printed-drawn' is no source-target of this "
            'config: did you mean printed-handwritten?',
        ),
        (['--config.methods.tca.map.dim=500'], 'dim=500'),
        (
            ['--config.methods.discriminator.classifier=nearest'],
            'a nearest neighbour cannot use weights: take logistic or svm',
        ),
        (['--config.methods.tca.classifier=knn'], "methods.tca.classifier='knn'"),
        (['--config.methods.tca.map.name=tcb'], "map.name='tcb' is unknown: did you mean tca?"),
        (
            ['--config.splits.source=("tran",)'],
            "splits: handwritten has no 'tran': did you mean train?",
        ),
        (['--config.domains.printed.part=decimals'], 'differ in their classes'),
        (['--config.scale=rows'], "scale='rows' is not one of none, standard, unit"),
    ],
)
def test_what_does_not_fit_is_told_in_one_line(tmp_path, flags, said):
    assert said in error(shallow(tmp_path, *flags))
