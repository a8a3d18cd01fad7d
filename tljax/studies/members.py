"""The members of a soup: networks that are fine-tuned from one linear probe on the same labels."""

from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from tljax import build
from tljax.averages import Estimate, statistics_estimator
from tljax.configuration import merge
from tljax.core import Dataset, Tree, UserError
from tljax.data.streams import examples_of
from tljax.engine.checkpoint import digest
from tljax.engine.choice import SPLIT
from tljax.engine.scores import first_score
from tljax.engine.train import Fitted, Run, fit
from tljax.protocols import Config

VARIED = (  # settings in which members may differ
    'steps',
    'epochs',
    'batch',
    'augment',
    'optim',
    'groups',
    'method',
    'penalty',
    'class_weights',
)
STRIDE = 1_000_000  # between the seeds of two members with the same draw of labels
# params and state with a leading axis of draws; the state is that of the network alone, which is
# all that a prediction needs
Model = tuple[Tree, Tree]


class Members(NamedTuple):
    """Finished trainings.

    Attributes:
        names: names of the members.
        run: the run of the first member, whose network all others have.
        probe: the linear probe.
        models: the fine-tuned networks, in the order of `names`.
        validation: scores of the members on the validation split, (members, draws).
        test: the same on the test split.
        examples: the training examples of each draw.
        estimate: (params, state, examples) -> state with new statistics, of the network.
    """

    names: list[str]
    run: Run
    probe: Model
    models: list[Model]
    validation: np.ndarray
    test: np.ndarray
    examples: list[Dataset]
    estimate: Estimate


def member_settings(last: Config, members: dict[str, Config]) -> dict[str, Config]:
    """Returns the config of each member: the same draws of labels, and other seeds of all else.

    Args:
        last: config of the last phase, whose seeds are those of the draws.
        members: {member: settings that differ}.

    Raises:
        UserError: a setting is not one in which members may differ.

    >>> last = {'seeds': [3, 4], 'label_seeds': [], 'cache': True, 'batch': 8}
    >>> members = member_settings(last, {'a': {}, 'b': {'batch': 9}})
    >>> members['b']['seeds'], members['b']['label_seeds'], members['b']['batch']
    ([1000003, 1000004], [3, 4], 9)
    """
    settings = {}
    for number, (name, changes) in enumerate(members.items()):
        if shared_keys := [key for key in changes if key not in VARIED]:
            raise UserError(
                f'study.members.{name}.{shared_keys[0]}: members share data, labels, network and '
                f'start; they may differ in {", ".join(VARIED)}'
            )
        changed = merge(last, changes, f'study.members.{name}')
        settings[name] = changed | {
            'seeds': [seed + STRIDE * number for seed in last['seeds']],
            'label_seeds': last['label_seeds'] or last['seeds'],
            'cache': False,  # so that all members predict by the whole network
        }
    return settings


def train_members(
    earlier: list[tuple[str, Config]], last: Config, settings: dict[str, Config], workdir: Path
) -> Members:
    """Trains the probe and the members, or loads what is trained.

    Args:
        earlier: the phases before the last, [(name, config)]; the last of them trains the probe.
        last: config of the last phase.
        settings: {member: config}.
        workdir: folder of the study.

    Raises:
        UserError: a member does not start with the probe's parameters.
    """
    _, probe = build.fit_phases(earlier, workdir)
    assert probe is not None  # there is a phase
    donor_dir = build.donor(last, workdir, [name for name, _ in earlier])
    runs = {
        name: build.build(changed, f'{number}/{len(settings)} {name}', donor_dir)
        for number, (name, changed) in enumerate(settings.items(), 1)
    }
    for name, run in runs.items():
        _refuse_other_start(name, run, probe)
    fitted = [fit(run, member_folder(workdir, name)) for name, run in runs.items()]
    run = next(iter(runs.values()))
    assert run.net is not None  # `build` gives it
    train, metric = build.splits_of(last)['train'], first_score(run.task)
    return Members(
        names=list(settings),
        run=run,
        probe=_model(probe),
        models=[_model(each) for each in fitted],
        validation=np.array([each.scores[SPLIT][metric] for each in fitted]),
        test=np.array([each.scores['test'][metric] for each in fitted]),
        examples=[
            examples_of(train, seed, last['per_class'], last['shuffled'])
            for seed in last['label_seeds'] or last['seeds']
        ],
        estimate=statistics_estimator(run.net, last['eval_batch']),
    )


def _model(fitted: Fitted) -> Model:
    return fitted.params, {'backbone': fitted.state['backbone']}


def _refuse_other_start(name: str, run: Run, probe: Fitted) -> None:
    """Refuses a member that does not start with all parameters of the probe."""
    start, _ = run.init(run.seeds[0])
    if digest(start) != digest(jax.tree.map(lambda leaf: leaf[0], probe.params)):
        raise UserError(
            f'member {name} does not start with all parameters of the linear probe, and those '
            'alone: give the last phase init.rules=((".*", None),) and a method without parameters '
            'of its own'
        )


def member_folder(workdir: Path, name: str) -> Path:
    """Returns the folder of a member's training.

    Args:
        workdir: folder of the study.
        name: name of the member.

    >>> str(member_folder(Path('runs/soup'), 'slow'))
    'runs/soup/cells/slow'
    """
    return workdir / 'cells' / name
