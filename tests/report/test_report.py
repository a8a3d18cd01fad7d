"""Tables, figures and the page, read back: by html.parser, by ElementTree, and on an Agg canvas
that knows where text stands."""

import itertools
import os
import re
import stat
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex

from tljax.core import UserError
from tljax.report import drawing, figures
from tljax.report import page as report

BUDGETS = [1, 2, 5, 10, 20, None]
STRATEGIES = ['scratch', 'frozen', 'finetune', 'layerwise', 'l2_sp']
HOSTILE = [
    '<script>alert(1)</script>',
    '"><img src=x onerror=alert(1)>',
    '{{ 7 * 7 }}',
    '_hidden',
    '$x^2$',
    "a & b's",
    '[b]Ж',
]
VOID = {'meta', 'link', 'br', 'img', 'hr', 'input'}


def study_rows(strategies=STRATEGIES, budgets=BUDGETS):
    """Rows as of a study: the curves end close together, and every verdict occurs."""
    rng, rows = np.random.default_rng(0), []
    for (i, strategy), k in itertools.product(enumerate(strategies), budgets):
        mean = float(1 - 0.5 / (k or 200) ** 0.4 + 0.01 * rng.normal())
        gain = dict.fromkeys(('gain_mean', 'gain_low', 'gain_high', 'verdict'))
        if i:
            centre = float(rng.choice([-0.05, 0.004, 0.06]))
            verdict = (
                'none detected' if abs(centre) < 0.02 else 'positive' if centre > 0 else 'negative'
            )
            gain = {
                'gain_mean': centre,
                'gain_low': centre - 0.02,
                'gain_high': centre + 0.02,
                'verdict': verdict,
            }
        rows.append(
            {
                'strategy': strategy,
                'labels_per_class': k,
                'mean': mean,
                'ci95': 0.01 + 0.01 * i,
                **gain,
            }
        )
    return rows


class Reader(HTMLParser):
    """Collects tags, attributes, text and table cells, and checks that tags close in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes, self.cells, self.text = [], [], [], [], ''
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]
        if tag not in VOID:
            self.open.append(tag)
        if tag in ('td', 'th'):
            self.cells.append([dict(attrs)['class'], ''])

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if self.open and self.open[-1] in ('td', 'th'):
            self.cells[-1][1] += data


def page_text(tmp_path, sections, title='Does transfer help?'):
    report.page(tmp_path / 'report.html', title, sections)
    return (tmp_path / 'report.html').read_text(encoding='utf-8')


def test_a_table_in_a_pipe_is_plain_aligned_and_whole(capsys):
    long_text = 'x' * 500
    rows = [['scratch', 'all', 0.5], ['[red]:smile:', 20, 0.123456], [long_text, 5, None]]
    report.table(['strategy', 'labels', 'accuracy'], rows, title='T ' + long_text)
    blank, title, header, *lines = capsys.readouterr().out.split('\n')
    assert (blank, title, lines.pop()) == ('', 'T ' + long_text, '')
    assert header.split() == ['strategy', 'labels', 'accuracy']
    assert [line.split() for line in lines] == [
        ['scratch', 'all', '0.500'],
        ['[red]:smile:', '20', '0.123'],
        [long_text, '5'],
    ]
    # numbers stand below each other
    assert len({re.search(r' (all|20|5)(?= |$)', line).end() for line in lines}) == 1
    assert header.endswith('accuracy') and len(lines[0]) == len(lines[1]) == len(header)


def test_a_table_on_a_narrow_terminal_loses_nothing(capsys, monkeypatch):
    monkeypatch.setenv('FORCE_COLOR', '1')
    monkeypatch.setenv('COLUMNS', '30')
    report.table(['strategy', 'accuracy'], [['abcdefghij' * 5, 0.5]])
    out = re.sub(r'\x1b\[[\d;]*m', '', capsys.readouterr().out)
    assert max(map(len, out.split('\n'))) <= 30
    assert (
        ''.join(re.findall('[a-j]+(?= |$)', out.split('\n', 2)[2], re.MULTILINE))
        == 'abcdefghij' * 5
    )


@pytest.mark.parametrize(
    'cell, text',
    [
        (None, ''),
        (0.0, '0.000'),
        (np.float32(0.25), '0.250'),
        (1e-5, '1e-05'),
        (12345.6, '1.23e+04'),
        (7, '7'),
        ('l2_sp', 'l2_sp'),
        (float('nan'), 'nan'),
    ],
)
def test_cells_as_text(cell, text, capsys):
    report.table(['x'], [[cell], ['end']])
    assert capsys.readouterr().out.split('\n')[1].strip() == text


def test_learning_curves_draw_every_row():
    rows = study_rows()
    axes = figures.learning_curves(rows).axes[0]
    assert axes.get_xscale() == 'log'
    ticks = dict(
        zip((tick.get_text() for tick in axes.get_xticklabels()), axes.get_xticks(), strict=True)
    )
    assert list(ticks) == ['1', '2', '5', '10', '20', 'all'] and ticks['all'] > ticks['20'] == 20
    points = {
        (to_hex(line.get_color()).upper(), x, y)
        for line in axes.lines
        for x, y in zip(*line.get_data(), strict=True)
    }
    colours = dict(zip(STRATEGIES, [figures.INK, *figures.COLOURS], strict=False))
    for row in rows:
        place = ticks['all'] if row['labels_per_class'] is None else row['labels_per_class']
        assert (colours[row['strategy']], place, row['mean']) in points
    bands = [collection.get_paths()[0].vertices for collection in axes.collections]
    first = [row for row in rows if row['strategy'] == 'scratch']
    for row in first[:-1]:
        k, mean, half = (row[name] for name in ('labels_per_class', 'mean', 'ci95'))
        assert {mean - half, mean + half} <= {y for x, y in bands[0] if x == k}
    assert bands[1][:, 1].tolist() == pytest.approx(
        [first[-1]['mean'] - 0.01, first[-1]['mean'] + 0.01]
    )


@pytest.mark.parametrize('strategies', [STRATEGIES, STRATEGIES + HOSTILE])
def test_names_stand_apart_outside_the_axes(strategies):
    figure = figures.learning_curves(study_rows(strategies))
    FigureCanvasAgg(figure).draw()
    axes = figure.axes[0]
    boxes = {text.get_text(): text.get_window_extent() for text in axes.texts if text.get_text()}
    assert sorted(boxes) == sorted(strategies)
    assert not [
        pair for pair in itertools.combinations(boxes, 2) if boxes[pair[0]].overlaps(boxes[pair[1]])
    ]
    for box in boxes.values():
        assert (
            axes.get_window_extent().x1 < box.x0 < box.x1 <= figure.bbox.x1
            and 0 <= box.y0 < box.y1 <= figure.bbox.y1
        )


def test_gains_are_hollow_where_none_was_detected():
    rows = study_rows()
    axes = figures.gains(rows).axes[0]
    marks = {
        (round(float(line.get_ydata()[0]), 9), round(float(line.get_xdata()[0]))): line
        for line in axes.lines
        if line.get_marker() != 'None'
    }
    bars = [tuple(line.get_ydata()) for line in axes.lines if line.get_marker() == 'None']
    for row in rows[len(BUDGETS) :]:
        mark = marks[round(row['gain_mean'], 9), BUDGETS.index(row['labels_per_class'])]
        assert (mark.get_markerfacecolor() == figures.PAPER) == (row['verdict'] == 'none detected')
        assert (row['gain_low'], row['gain_high']) in bars
    assert (0, 0) in bars
    assert axes.get_ylabel() == 'gain over scratch (points)'
    with pytest.raises(UserError, match='no row has a gain'):
        figures.gains(rows[: len(BUDGETS)])


def test_one_seed_has_neither_bands_nor_gains():
    rows = [
        {**row, 'ci95': None, 'gain_mean': None, 'verdict': None} for row in study_rows(budgets=[5])
    ]
    lines = figures.learning_curves(rows).axes[0].lines
    assert len({to_hex(line.get_color()) for line in lines}) == len(STRATEGIES)


@pytest.mark.parametrize('draw', [figures.learning_curves, figures.gains])
def test_svg_is_deterministic_well_formed_and_needs_nothing(draw):
    rows = study_rows(STRATEGIES + HOSTILE)
    figure = draw(rows)
    text = drawing.svg(figure)
    assert text == drawing.svg(draw(rows))
    assert not figure.axes
    root = ElementTree.fromstring(text)
    assert root.tag == 'svg'
    texts = {element.text for element in root.iter('text')}
    assert texts >= set(STRATEGIES[1:] + HOSTILE)
    ids = [element.get('id') for element in root.iter() if element.get('id')]
    assert len(ids) == len(set(ids))
    references = {element.get('href') for element in root.iter() if element.get('href')}
    references |= {
        match
        for element in root.iter()
        for match in re.findall(r'url\((.*?)\)', element.get('clip-path', ''))
    }
    assert references and references <= {f'#{name}' for name in ids}
    assert 'http' not in text
    assert not {element.tag for element in root.iter()} & {'script', 'image', 'metadata'}
    styles = ' '.join(element.get('style', '') for element in root.iter())
    assert (
        'currentColor' in styles
        and figures.INK.lower() not in styles
        and figures.PAPER.lower() not in styles
    )


def test_what_two_figures_of_a_page_share_by_id_is_the_same():
    roots = [
        ElementTree.fromstring(drawing.svg(draw(study_rows())))
        for draw in (figures.learning_curves, figures.gains)
    ]
    defined = [
        {
            element.get('id'): ElementTree.tostring(element).strip()
            for element in root.iter()
            if element.get('id')
        }
        for root in roots
    ]
    shared = set(defined[0]) & set(defined[1])
    assert shared and all(defined[0][name] == defined[1][name] for name in shared)


def test_the_page_holds_every_number_and_reaches_for_nothing(tmp_path):
    rows = study_rows()
    columns = ['strategy', 'labels per class', 'accuracy', 'interval', 'gain', 'verdict']
    cells = [
        [
            row['strategy'],
            row['labels_per_class'] or 'all',
            row['mean'],
            row['ci95'],
            row['gain_mean'],
            row['verdict'],
        ]
        for row in rows
    ]
    text = page_text(
        tmp_path,
        [
            {
                'heading': 'Curves',
                'text': 'One.\n\nTwo.',
                'svg': drawing.svg(figures.learning_curves(rows)),
            },
            {'heading': 'Gains', 'svg': drawing.svg(figures.gains(rows))},
            {'heading': 'Every cell', 'table': (columns, cells)},
            {'heading': 'Config', 'code': '{\n "a": 1\n}'},
        ],
    )
    page = Reader(text)
    assert not re.search(r'https?:|//|@import', text)
    assert not [
        value
        for _, name, value in page.attributes
        if name in ('src', 'href', 'action') and not value.startswith('#')
    ]
    assert not {'script', 'link', 'iframe', 'img'} & set(page.tags)
    assert page.tags.count('svg') == 2 and page.tags.count('p') == 2
    expected = [
        f'{cell:.3f}' if isinstance(cell, float) else str(cell or '')
        for row in cells
        for cell in row
    ]
    assert [cell for _, cell in page.cells] == columns + expected
    for kind, cell in page.cells:
        assert kind.split()[1:] == {
            'positive': ['positive'],
            'none detected': ['none'],
            'negative': ['negative'],
        }.get(cell, [])
    assert {kind.split()[0] for kind, _ in page.cells[len(columns) + 2 :: len(columns)]} == {
        'number'
    }
    assert {cell for _, cell in page.cells} > {'positive', 'none detected', 'negative'}
    assert '{\n "a": 1\n}' in page.text


def test_hostile_names_are_text(tmp_path):
    rows = [[name, 'positive', '+1.2 none detected'] for name in HOSTILE]
    gain_svg = drawing.svg(figures.gains(study_rows(['scratch', *HOSTILE])))
    sections = [
        {
            'heading': HOSTILE[0],
            'text': HOSTILE[1],
            'code': HOSTILE[1],
            'table': (HOSTILE[:3], rows),
        },
        {'heading': HOSTILE[2], 'svg': gain_svg},
    ]
    page = Reader(page_text(tmp_path, sections, title=HOSTILE[0]))
    assert not {'script', 'img', 'b'} & set(page.tags)
    assert [cell for _, cell in page.cells] == HOSTILE[:3] + [cell for row in rows for cell in row]
    assert [kind for kind, _ in page.cells[3:]] == ['text', 'text positive', 'number none'] * len(
        HOSTILE
    )
    assert all(name in page.text for name in HOSTILE)


def test_a_page_is_written_whole_or_not_at_all(tmp_path):
    before = page_text(tmp_path, [{'heading': 'First'}])
    with pytest.raises(UnicodeEncodeError):
        page_text(tmp_path, [{'heading': 'a lone surrogate \ud800'}])
    with pytest.raises(UserError, match='figure; it may have code, heading'):
        page_text(tmp_path, [{'heading': 'Second', 'figure': ''}])
    assert (tmp_path / 'report.html').read_text() == before
    assert [path.name for path in tmp_path.iterdir()] == ['report.html']
    with (tmp_path / 'report.html').open() as reader:
        after = page_text(tmp_path, [{'heading': 'Second'}])
        assert reader.read() == before != after  # whoever was reading goes on reading the old one
    umask = os.umask(0o022)
    os.umask(umask)
    assert stat.S_IMODE((tmp_path / 'report.html').stat().st_mode) == 0o666 & ~umask
    report.page(tmp_path / 'new' / 'folder' / 'report.html', 'T', [])
    assert (tmp_path / 'new' / 'folder' / 'report.html').exists()


def test_text_on_its_colour_can_be_read():
    """Contrast of at least 4.5, WCAG 2.2 success criterion 1.4.3, in the light and in the dark."""

    def luminance(colour):
        colour = colour[1:] if len(colour) == 7 else ''.join(2 * digit for digit in colour[1:])
        channels = np.array([int(colour[i : i + 2], 16) / 255 for i in (0, 2, 4)])
        return np.where(
            channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4
        ) @ [0.2126, 0.7152, 0.0722]

    template = Path(report.__file__).with_name('report.html').read_text()
    palettes = [
        dict(
            re.findall(
                r'--([\w-]+): (#\w+)',
                block,
            )
        )
        for block in re.findall(r':root \{.*?\}', template, re.DOTALL)
    ]
    assert len(palettes) == 2
    for palette in palettes:
        pairs = [
            ('ink', 'paper'),
            ('faint', 'paper'),
            *((kind, f'{kind}-paper') for kind in report.VERDICTS.values()),
        ]
        for pair in pairs:
            dark, light = sorted(luminance(palette[name]) for name in pair)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, pair


def test_no_display_and_no_global_state():
    code = "import sys, tljax.report.figures; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert (
        subprocess.run(
            [sys.executable, '-c', code], cwd=Path(report.__file__).parents[1]
        ).returncode
        == 0
    )
