"""The examples run from top to bottom, cell by cell, and show what they claim."""

import os
import re
from pathlib import Path

import pytest

DATA = Path(os.environ.get('TLJAX_DATA', ''))
WEIGHTS = DATA / 'imagenet_weights' / 'mobilenet_2_5_224_tf_no_top.h5'
EXAMPLES = sorted((Path(__file__).parents[1] / 'examples').glob('*.py'))


def cells(path: Path) -> list[str]:
    """The code of a script, cell by cell, as a notebook runs it."""
    parts = re.split(r'^# %%(.*)$', path.read_text(), flags=re.MULTILINE)
    return [code for kind, code in zip(parts[1::2], parts[2::2], strict=True) if not kind.strip()]


@pytest.mark.slow
@pytest.mark.parametrize('path', EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_cell_by_cell(path, tmp_path, monkeypatch, capsys):
    if path.stem == 'finetune_pictures' and not WEIGHTS.is_file():
        pytest.skip('TLJAX_DATA has no weights of MobileNet')
    for name, value in (('RUNS', tmp_path / 'runs'), ('STEPS', 20), ('WEIGHTS', WEIGHTS)):
        monkeypatch.setenv(name, str(value))
    monkeypatch.delenv('PICTURES', raising=False)
    names = {}
    for number, code in enumerate(cells(path)):
        exec(compile(code, f'{path.name}, cell {number}', 'exec'), names)
    said = capsys.readouterr().out
    if path.stem == 'write_a_method':
        without, weighted = map(float, re.findall(r'accuracy on the target ([.\d]+)', said))
        assert weighted > without + 0.1
    elif path.stem == 'adapt_unlabelled':
        assert 'source only: information maximisation' in said and 'CDAN' in said
    else:
        assert names['finetuned'].scores['test']['accuracy'][0] > 0.5
        assert names['head'].classes == names['finetuned'].classes == ('0', '1', '2', '3')
