"""Mistakes of a run, compared with hand-worked examples and with scikit-learn."""

import base64
import io
from xml.etree import ElementTree

import numpy as np
from PIL import Image
from sklearn.metrics import average_precision_score, confusion_matrix

from tljax.core import Task
from tljax.data.formats.arrays import arrays
from tljax.report.mistakes import confusion, png
from tljax.report.page import page
from tljax.studies import mistakes

NAMES = ('ants', 'bees', 'wasps')
TASK = Task.of(NAMES)
RANDOM = np.random.default_rng(0)
LABEL, ANSWER = RANDOM.integers(0, 3, 40), RANDOM.integers(0, 3, 40)
ROWS = [
    {
        'example': f'{i}.png',
        'label': NAMES[label],
        'answer': NAMES[answer],
        'probability': f'{RANDOM.random():.4f}',
    }
    for i, (label, answer) in enumerate(zip(LABEL, ANSWER, strict=True))
]


def test_counts_are_those_of_scikit_learn():
    np.testing.assert_array_equal(mistakes.counts(ROWS, NAMES), confusion_matrix(LABEL, ANSWER))


def test_the_worst_class_stands_first_with_what_it_is_taken_for():
    table = mistakes.class_table(ROWS, NAMES)
    expected = sorted(
        ((c == LABEL).sum(), 100 * (ANSWER[c == LABEL] == c).mean(), NAMES[c]) for c in range(3)
    )
    assert {(row[1], row[2], row[0]) for row in table.rows} == {
        (n, f'{share:.1f}', name) for n, share, name in expected
    }
    assert [float(row[2]) for row in table.rows] == sorted(float(row[2]) for row in table.rows)
    mistake_counts = {
        name: sum(int(part.split()[-1]) for part in row[3].split(', ') if part)
        for name, row in ((row[0], row) for row in table.rows)
    }
    assert all(mistake_counts[NAMES[c]] == ((c == LABEL) & (c != ANSWER)).sum() for c in range(3))


def test_a_class_that_is_never_predicted_has_accuracy_0():
    """124 ants and 5 bees, all classified as ants: accuracy 96 %, but 0 % of the bees."""
    rows = [
        {'label': name, 'answer': 'ants'}
        for name, n in (('ants', 124), ('bees', 5))
        for _ in range(n)
    ]
    assert mistakes.class_table(rows, ('ants', 'bees')).rows == [
        ['bees', 5, '0.0', 'ants 5'],
        ['ants', 124, '100.0', ''],
    ]


def test_the_surest_mistakes_are_shown_with_their_pictures(tmp_path):
    pictures = RANDOM.random((40, 6, 6, 1)).astype(np.float32)
    parts = mistakes.sections(ROWS, TASK, 'test', arrays(pictures, LABEL, NAMES))
    *_, picture_section = parts
    order = mistakes.worst(ROWS)
    wrong = np.flatnonzero(LABEL != ANSWER)
    assert set(order) <= set(wrong) and len(order) == mistakes.MAX_PICTURES
    assert float(ROWS[order[0]]['probability']) == max(float(ROWS[i]['probability']) for i in wrong)
    address, text = picture_section['pictures'][0]
    assert f'{order[0]}.png' in text
    image = Image.open(io.BytesIO(base64.b64decode(address.partition(',')[2])))
    assert image.size == (156, 156)  # 26 times 6
    np.testing.assert_allclose(
        np.asarray(image)[::26, ::26] / 255, pictures[order[0], ..., 0], atol=0.003
    )
    page(tmp_path / 'report.html', 'Mistakes', parts)
    page_text = (tmp_path / 'report.html').read_text()
    assert (
        page_text.count('<img src="data:image/png;base64,') == mistakes.MAX_PICTURES
        and address in page_text
    )


def test_labels_one_by_one_are_those_of_scikit_learn():
    label, share = RANDOM.integers(0, 2, (30, 2)), RANDOM.random((30, 2)).round(4)
    rows = [
        {
            f'{kind}{name}': str(values[i, c])
            for c, name in enumerate('ab')
            for kind, values in (('label ', label), ('probability of ', share))
        }
        for i in range(30)
    ]
    table = {row[0]: row[1:] for row in mistakes.label_table(rows, ('a', 'b')).rows}
    for c, name in enumerate('ab'):
        precision, accuracy = (
            average_precision_score(label[:, c], share[:, c]),
            ((share[:, c] > 0.5) == label[:, c]).mean(),
        )
        assert table[name] == [label[:, c].sum(), f'{100 * precision:.1f}', f'{100 * accuracy:.1f}']
    parts = mistakes.sections(rows, Task('labels', ('a', 'b')), 'test')
    assert [part['heading'] for part in parts] == ['Label by label, test split']


def test_labels_without_examples_come_last_and_leave_the_order_of_the_others():
    names = ('a', 'none', 'b')  # two examples, of which only the first has labels: a and b
    values = [('1', '0.9', '0', '0.5', '1', '0.2'), ('0', '0.1', '0', '0.5', '0', '0.8')]
    columns = [f'{kind} {name}' for name in names for kind in ('label', 'probability of')]
    rows = [dict(zip(columns, row, strict=True)) for row in values]
    table = mistakes.label_table(rows, names)
    assert [row[:3] for row in table.rows] == [['b', 1, '50.0'], ['a', 1, '100.0'], ['none', 0, '']]


def test_inputs_that_are_no_pictures_and_many_classes_have_no_drawing():
    features = arrays(np.zeros((40, 5)), LABEL, NAMES)
    assert all('pictures' not in part for part in mistakes.sections(ROWS, TASK, 'test', features))
    many_names = tuple(map(str, range(mistakes.MAX_CLASSES + 1)))
    assert [
        sorted(part)
        for part in mistakes.sections(
            [{'label': '0', 'answer': '0', 'probability': '1'}], Task.of(many_names), 'test'
        )
    ] == [['heading', 'table']]


def test_a_matrix_of_counts_shows_each_count_once():
    element = confusion(mistakes.counts(ROWS, NAMES), NAMES)
    texts = [text.text for text in ElementTree.fromstring(element).iter('text')]
    assert sum(int(text) for text in texts if text.isdigit()) == 40
    assert png(np.ones((400, 300, 3))).startswith('data:image/png')


def test_a_training_writes_the_answer_to_every_example_and_shows_its_mistakes(tmp_path):
    """The answers file agrees with the scores, averaged over seeds, with the page and the table."""
    from tiny import SMALL

    from configs import base
    from tljax.configuration import merge, plain
    from tljax.data import digits
    from tljax.engine.answers import read_answers
    from tljax.studies import training
    from tljax.trained import load

    config = merge(plain(base.get_config()), {**SMALL, 'steps': 20, 'seeds': [0]})
    result = training.train(config, tmp_path)
    answers, splits = read_answers(tmp_path / '00-train' / 'answers.csv'), digits(size=8)
    assert {split: len(rows) for split, rows in answers.items()} == {'validation': 359, 'test': 539}
    accuracy = np.mean([row['answer'] == row['label'] for row in answers['test']])
    assert 0 < accuracy < 1 and accuracy == result['scores']['test']['accuracy'][0]
    by_class = np.mean([float(row[2]) for row in result['by_class']['rows']]) / 100
    np.testing.assert_allclose(
        by_class, result['scores']['test']['mean_class_accuracy'][0], atol=1e-3
    )
    inputs = splits['test'].take(np.arange(539))['input']
    probability = load(tmp_path).predict(inputs, batch=256)
    np.testing.assert_allclose(
        [float(row['probability']) for row in answers['test']], probability.max(1), atol=1e-3
    )
    page = (tmp_path / '00-train' / 'report.html').read_text()
    worst = mistakes.worst(answers['test'])[0]
    assert png(inputs[worst]) in page and 'Which classes are confused, test split' in page
    before = (tmp_path / '00-train' / 'answers.csv').stat().st_mtime_ns
    second_run = training.train(config, tmp_path)  # reads the finished run
    assert (
        second_run['by_class'] == result['by_class']
        and (tmp_path / '00-train' / 'answers.csv').stat().st_mtime_ns == before
    )
