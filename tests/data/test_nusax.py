"""NusaX: what is read is what was written, and all languages have the same sentences."""

import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from tiny_sets import refused, sizes

from tljax.data.sets.nusax import KINDS, nusax

DATA = Path(os.environ.get('TLJAX_DATA', 'data'), 'nusax', 'nusax_senti.zip')
FILES = {'train': 6, 'valid': 3, 'test': 4}
SENTENCES = 'Good, "cheap"\nand near'


@pytest.fixture
def folder(tmp_path):
    """Two languages of 13 sentences."""
    for language in ('english', 'javanese'):
        home = tmp_path / 'datasets' / 'sentiment' / language
        home.mkdir(parents=True)
        number = 0
        for file, count in FILES.items():
            rows = ['id,text,label']
            for _ in range(count):
                text = f'{language} {number} {SENTENCES}'.replace('"', '""')
                rows.append(f'{number},"{text}",{KINDS[number % 3]}')
                number += 1
            (home / f'{file}.csv').write_text('\n'.join(rows) + '\n', encoding='utf-8')
    return tmp_path / 'datasets'


def change(folder, old, new, file='train'):
    path = folder / 'sentiment' / 'javanese' / f'{file}.csv'
    path.write_text(path.read_text().replace(old, new, 1))


def test_sentences_are_read_from_a_folder_and_a_zip(folder, tmp_path):
    shutil.make_archive(str(tmp_path / 'nusax'), 'zip', folder)
    for path in (folder, tmp_path / 'nusax.zip'):
        splits = nusax(path, 'javanese')
        assert sizes(splits) == {'train': 6, 'validation': 3, 'test': 4}
        batch = splits['validation'].take(np.array([1]))
        assert batch['input'].tolist() == [f'javanese 7 {SENTENCES}'] and batch['label'] == [1]
        assert splits['validation'].names.tolist() == ['6', '7', '8']
        assert splits['train'].classes == KINDS
    assert nusax(folder, 'english')['train'].fingerprint != splits['train'].fingerprint


@pytest.mark.parametrize(
    'old, new, said',
    [
        ('id,text,label', 'id,sentence,label', "no column 'text'"),
        (',positive', ',happy', "row 4: the row is cut off, or its label 'happy' is none of"),
        (',positive', '', 'row 4: the row is cut off'),
        ('5,"javanese', '4,"javanese', 'a sentence of javanese has a number twice'),
        ('0,"javanese', '0,""javanese', 'is no table of text'),
    ],
    ids=['column', 'label', 'cell', 'number', 'quotes'],
)
def test_damaged_tables_are_refused(folder, old, new, said):
    change(folder, old, new)
    refused(lambda: nusax(folder, 'javanese'), said)
    assert nusax(folder, 'english')['train'].size == 6


def test_what_is_not_there_is_refused(folder, tmp_path):
    refused(lambda: nusax(folder, 'javenese'), "'javenese' is not in", 'did you mean javanese?')
    refused(lambda: nusax(tmp_path / 'nowhere', 'english'), 'nowhere is no folder and no archive')
    (tmp_path / 'empty').mkdir()
    refused(lambda: nusax(tmp_path / 'empty', 'english'), 'has no sentiment/english/train.csv')
    (folder / 'sentiment' / 'javanese' / 'test.csv').unlink()
    refused(lambda: nusax(folder, 'javanese'), 'has no test.csv of javanese')
    path = folder / 'sentiment' / 'english' / 'train.csv'
    path.write_bytes(path.read_bytes() + b'\xff\xfe\n')
    refused(lambda: nusax(folder, 'english'), 'train.csv is no table of text')


@pytest.mark.skipif('TLJAX_DATA' not in os.environ, reason='real data sets are not at hand')
def test_the_real_sentences():
    languages = 'balinese', 'english', 'indonesian', 'javanese', 'minangkabau', 'sundanese'
    english = nusax(DATA, 'english')
    assert sizes(english) == {'train': 500, 'validation': 100, 'test': 400}
    assert len({name for split in english.values() for name in split.names}) == 1000
    with zipfile.ZipFile(DATA) as file:
        first = file.read('sentiment/balinese/train.csv').decode().splitlines()[1]
    for language in languages:
        for split, dataset in nusax(DATA, language).items():
            order = np.argsort(dataset.names)
            expected = np.argsort(english[split].names)
            assert (dataset.names[order] == english[split].names[expected]).all()
            assert (dataset.label[order] == english[split].label[expected]).all()
    train = nusax(DATA, 'balinese')['train']
    assert train.take(np.array([0]))['input'].item() in first
