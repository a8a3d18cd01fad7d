"""Ground atoms: what is read, which types arguments have, and folds of persons."""

import zipfile

import numpy as np
import pytest

from tljax.core import UserError
from tljax.data.atoms import of_facts, read_atoms
from tljax.data.person_folds import person_folds

FACTS = 'actor(ann).\n//director(bob).\n\nmovie(m1, ann).\nsameperson(ann, ann).\n'
POSITIVE = 'workedunder(ann , bob).\nworkedunder(bob, ann).\n'


def write(path, facts=FACTS, positive=POSITIVE, test=None):
    with zipfile.ZipFile(path, 'w') as file:
        for half, texts in (('train', (facts, positive)), ('test', test)):
            for part, text in zip(('facts', 'pos', 'neg'), (*(texts or ()), ''), strict=False):
                file.writestr(f'Films/{half}/{half}_{part}.txt', text)
        file.writestr('__MACOSX/Films/train/._train_facts.txt', '\x00\x01')
    return path


def test_facts_behind_slashes_are_facts_and_equality_is_none(tmp_path):
    atoms = read_atoms(write(tmp_path / 'a.zip'))
    assert atoms.facts == {
        'actor': {('ann',)},
        'director': {('bob',)},
        'movie': {('m1', 'ann')},
        'workedunder': {('ann', 'bob'), ('bob', 'ann')},
    }
    assert atoms.types == {
        'actor': ('actor.1',),
        'director': ('actor.1',),
        'movie': ('movie.1', 'actor.1'),
        'workedunder': ('actor.1', 'actor.1'),
    }
    folder = tmp_path / 'folder'
    with zipfile.ZipFile(tmp_path / 'a.zip') as file:
        file.extractall(folder)
    (folder / '__MACOSX/Films/train/._train_facts.txt').unlink()
    assert read_atoms(folder, drop=['movie']).facts.keys() == atoms.facts.keys() - {'movie'}


def test_a_test_half_that_repeats_the_training_half_is_refused(tmp_path):
    path = write(tmp_path / 'a.zip', test=(FACTS, POSITIVE.replace(' ,', ',')))
    with pytest.raises(UserError, match='facts of test/ repeat those of train/'):
        read_atoms(write(tmp_path / 'b.zip', test=(FACTS, POSITIVE)), 'test')
    assert read_atoms(path).facts  # the training half may be read
    other = ('actor(cid).\n', 'workedunder(cid, dan).\n')
    assert read_atoms(write(tmp_path / 'c.zip', test=other), 'test').facts['actor'] == {('cid',)}


@pytest.mark.parametrize(
    'facts, keywords, said',
    [
        ('actor ann\n', {}, "'actor ann' is no atom: write predicate(constant, constant)."),
        ('actor(ann,).\n', {}, "'actor(ann,).' is no atom"),
        ('p(a).\np(a, b).\n', {}, 'p has facts with 1 and 2 arguments'),
        (FACTS, {'half': 'both'}, "half='both' is not train or test"),
        (FACTS, {'drop': ['actr']}, "drop='actr': did you mean actor?"),
    ],
)
def test_what_cannot_be_read_is_one_clear_line(facts, keywords, said, tmp_path):
    with pytest.raises(UserError) as refused:
        read_atoms(write(tmp_path / 'a.zip', facts), **keywords)
    assert said in str(refused.value) and '\n' not in str(refused.value)


def test_files_that_are_missing_or_damaged(tmp_path):
    with pytest.raises(UserError, match='does not exist'):
        read_atoms(tmp_path / 'none.zip')
    with pytest.raises(UserError, match=r'has no train/train_facts.txt'):
        read_atoms(tmp_path)
    (tmp_path / 'a.zip').write_bytes(b'no zip')
    with pytest.raises(UserError, match='cannot be read'):
        read_atoms(tmp_path / 'a.zip')
    with pytest.raises(UserError, match='boss has no facts: leave it out, or give its types'):
        of_facts({'boss': []})


@pytest.mark.parametrize('together', [(), ('boss',)])
def test_folds_hold_disjoint_persons_and_all_other_facts_are_counted(together):
    rng = np.random.default_rng(0)
    pairs = {(f'p{a}', f'p{b}') for a, b in rng.integers(0, 30, (25, 2)) if a != b}
    facts = {
        'boss': pairs,
        'old': {(f'p{i}',) for i in range(30)},
        'wrote': {(f't{i % 7}', f'p{i}') for i in range(30)},
        'level': {('c1', 'high'), ('c2', 'low')},
    }
    atoms = of_facts(facts)
    folds = person_folds(atoms, 'boss.1', 3, seed=1, together=together)
    persons = [set(fold.constants(atoms.type_of('old.1'))) for fold in folds]
    assert set.union(*persons) == {f'p{i}' for i in range(30)}
    assert sum(map(len, persons)) == 30
    if not together:
        assert max(map(len, persons)) == 10
    kept = [pair for fold in folds for pair in fold.facts['boss']]
    across = {pair for pair in pairs if not any(set(pair) <= part for part in persons)}
    assert sorted(kept) == sorted(pairs - across)
    assert folds[0].dropped.get('boss', 0) == len(across) and bool(across) != bool(together)
    for fold, part in zip(folds, persons, strict=True):
        assert fold.facts['level'] == facts['level']
        assert fold.facts['wrote'] == {row for row in facts['wrote'] if row[1] in part}
    again = person_folds(atoms, 'boss.1', 3, seed=1, together=together)
    assert [fold.facts for fold in again] == [fold.facts for fold in folds]


def test_folds_that_cannot_be_cut():
    atoms = of_facts({'boss': [('a', 'b'), ('b', 'c')]})
    for call, said in (
        (lambda: person_folds(atoms, 'boss.1', 1), 'folds=1: give two or more'),
        (lambda: person_folds(atoms, 'boss.1', 2, together=['boss']), 'folds=2 of 1 groups'),
        (lambda: person_folds(atoms, 'boss.1', 2, together=['bos']), 'did you mean boss'),
        (lambda: person_folds(atoms, 'boss.3', 2), 'boss has the arguments 1 to 2'),
        (lambda: person_folds(atoms, 'chief.1', 2), 'chief.1: there are boss'),
    ):
        with pytest.raises(UserError) as refused:
            call()
        assert said in str(refused.value)
