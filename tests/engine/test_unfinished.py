"""A run that is not finished is refused, never read as a finished one."""

import pytest
from commands import call, error
from PIL import Image
from tiny import tiny

import tljax
from tljax import build
from tljax.configuration import merge
from tljax.core import UserError
from tljax.engine.checkpoint import last_phase, load_final
from tljax.engine.train import fit

HEAD, ALL = ('head', tiny()), ('all', tiny({'steps': 8, 'init': {'phase': 'head'}}))


class Killed(Exception):
    pass


def kill_second_phase(monkeypatch, step):
    """Makes the second phase raise Killed when it reads the batch of a step."""

    def fit_until(run, workdir):
        calls = []

        def take(index):
            if run.steps == ALL[1]['steps'] and len(calls) == step:
                raise Killed
            calls.append(index)
            return run.stream.take(index)

        return fit(run._replace(stream=run.stream._replace(take=take)), workdir)

    monkeypatch.setattr(build, 'fit', fit_until)


@pytest.mark.parametrize(
    'step, progress', [(0, 'all is at step 0 of 8'), (5, 'all is at step [2-5] of 8')]
)
def test_a_run_killed_in_its_second_phase_is_refused_by_name(step, progress, tmp_path, monkeypatch):
    kill_second_phase(monkeypatch, step)
    with pytest.raises(Killed):
        build.fit_phases(
            [HEAD, ('all', merge(ALL[1], {'log_every': 1, 'save_every': 1}))], tmp_path
        )
    with pytest.raises(
        UserError,
        match=f'is not finished: 01-{progress}: give the training command again, or name '
        '.*/00-head for the phase',
    ):
        last_phase(tmp_path)
    assert load_final(last_phase(tmp_path / '00-head'))
    (tmp_path / 'pictures' / 'cat').mkdir(parents=True)
    Image.new('L', (8, 8)).save(tmp_path / 'pictures' / 'cat' / 'one.png')
    for command in ('predict', 'evaluate', 'features', 'few_shot'):
        pictures = [] if command == 'few_shot' else [tmp_path / 'pictures']
        out = [f'--out={tmp_path}/x.npz'] if command == 'features' else []
        assert '01-all is at step' in error(
            call(command, f'--workdir={tmp_path}', *out, *pictures)
        ), command
    with pytest.raises(UserError, match='01-all is at step'):
        tljax.load(tmp_path)
    if step:
        with pytest.raises(UserError, match='01-all is at step'):
            load_final(tmp_path / '01-all')
    monkeypatch.undo()
    build.fit_phases([HEAD, ALL], tmp_path)
    assert last_phase(tmp_path) == tmp_path / '01-all'


@pytest.mark.parametrize(
    'changes, message',
    [
        ({'net': {'name': 'conv5'}}, 'conv5'),
        ({'groups': {'hed': {'lr': 0.1}}}, 'did you mean head'),
        ({'data': {'path': 'nowhere', 'name': 'npz'}}, 'nowhere'),
        ({'eval_every': 0, 'keep': 'best'}, 'eval_every'),
    ],
)
def test_a_phase_that_does_not_fit_is_refused_before_the_first_is_trained(
    changes, message, tmp_path
):
    with pytest.raises(UserError, match=message):
        build.fit_phases([HEAD, ('all', merge(ALL[1], changes))], tmp_path / 'run')
    assert not (tmp_path / 'run').exists()


def test_a_phase_that_has_not_begun_is_missed(tmp_path, monkeypatch):
    def fit_head(run, workdir):
        if run.name != 'head':
            raise Killed
        return fit(run, workdir)

    monkeypatch.setattr(build, 'fit', fit_head)
    with pytest.raises(Killed):
        build.fit_phases([HEAD, ALL], tmp_path)
    with pytest.raises(UserError, match='01-all has not begun'):
        last_phase(tmp_path)


def test_a_refused_run_leaves_the_plan_of_the_one_before(tmp_path):
    build.fit_phases([HEAD], tmp_path)
    with pytest.raises(UserError, match='another config'):
        build.fit_phases([('head', tiny({'batch': 8})), ALL], tmp_path)
    assert last_phase(tmp_path) == tmp_path / '00-head'


def test_a_study_is_none_of_its_fits(tmp_path):
    fit(build.build(HEAD[1]), tmp_path / '00-pretrain')
    fit(build.build(HEAD[1]), tmp_path / 'cells' / 'scratch-5')
    with pytest.raises(
        UserError, match='is a study of 1 fits: name one of them, such as .*cells/scratch-5'
    ):
        last_phase(tmp_path)
