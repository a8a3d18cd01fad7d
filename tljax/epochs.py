"""Epochs as steps: a run that is to pass its training set so many times has as many steps."""

import math

from tljax.core import Dataset, UserError
from tljax.data.splits import per_class
from tljax.protocols import Config


def steps_of(config: Config, train: Dataset) -> int:
    """The number of steps of a run.

    Args:
        config: a phase's config. `epochs`, where they are set, take the place of `steps`; a config
            of no steps trains nothing, whatever its epochs.
        train: the training set.

    Raises:
        UserError: epochs of examples that are drawn afresh, and epochs beside a schedule that
            counts steps.

    >>> from tljax.configuration import settings
    >>> from tljax.data import digits
    >>> train = digits(size=8)['train']
    >>> train.size, steps_of(settings(epochs=2, batch=100), train)
    (899, 18)
    """
    epochs = config['epochs']
    if not epochs or not config['steps']:
        return config['steps']
    refuse_counted_steps(config)
    if train.example:
        raise UserError(
            f'epochs={epochs:g} of data whose examples are drawn afresh: there is no end to pass, '
            'so set steps'
        )
    steps = round(epochs * _examples(config, train) / config['batch'], 9)
    return max(math.ceil(steps), 1)


def refuse_counted_steps(config: Config) -> None:
    """Refuses epochs where a schedule of the method or a player's turns count steps.

    Args:
        config: a phase's config.

    Raises:
        UserError: names the setting that counts steps.

    >>> from tljax.configuration import settings
    >>> refuse_counted_steps(settings(epochs=2, method={'name': 'dann', 'ramp': 100}))
    Traceback (most recent call last):
    tljax.core.UserError: epochs=2: method.ramp is counted in steps: set steps in place of epochs
    """
    epochs = config['epochs']
    if not epochs or not config['steps']:
        return
    periods = [
        f'groups.{name}.period'
        for name, keywords in config['groups'].items()
        if keywords.get('period', 1) > 1
    ]
    setting = ramp_setting(config['method']) or next(iter(periods), None)
    if setting:
        raise UserError(
            f'epochs={epochs:g}: {setting} is counted in steps: set steps in place of epochs'
        )


def ramp_setting(spec: Config, name: str = 'method') -> str | None:
    """The setting by which a method, or a method inside it, counts steps; None where none does.

    Args:
        spec: the method's name and keywords.
        name: of the setting that holds them.

    >>> ramp_setting({'name': 'dann', 'ramp': 100})
    'method.ramp'
    """
    if spec.get('ramp'):
        return f'{name}.ramp'
    for key, value in spec.items():
        setting = ramp_setting(value, f'{name}.{key}') if isinstance(value, dict) else None
        if setting:
            return setting
    return None


def optimizer_settings(config: Config, steps: int) -> Config:
    """The optimiser's settings. A warm-up that is longer than a run of epochs takes a tenth of its
    steps instead.

    Args:
        config: a phase's config.
        steps: of the run.

    >>> from tljax.configuration import settings
    >>> config = settings(epochs=1, optim={'name': 'sgd', 'lr': 0.1, 'warmup': 100})
    >>> optimizer_settings(config, steps=50)['warmup']
    5
    """
    optim = config['optim']
    too_long = config['epochs'] and optim.get('warmup', 0) >= steps
    return {**optim, 'warmup': steps // 10} if too_long else optim


def length_facts(config: Config, train: Dataset, steps: int) -> list[tuple[str, str]]:
    """What a run of epochs prints of its length before the first step; nothing for a run of steps.

    Args:
        config: a phase's config.
        train: the training set.
        steps: of the run.

    >>> from tljax.configuration import settings
    >>> from tljax.data import digits
    >>> length_facts(settings(epochs=2, batch=100), digits(size=8)['train'], steps=18)
    [('steps', '18: 2 epochs of 899 examples, 100 at a time')]
    """
    if not config['epochs'] or not steps:
        return []
    text = (
        f'{steps}: {config["epochs"]:g} epochs of {_examples(config, train)} examples, '
        f'{config["batch"]} at a time'
    )
    optim = optimizer_settings(config, steps)
    if optim is not config['optim']:
        text += f'; a warm-up of {optim["warmup"]} steps in place of {config["optim"]["warmup"]}'
    return [('steps', text)]


def _examples(config, train):
    """The number of examples that are trained on."""
    return len(per_class(train.label, config['per_class'], config['seeds'][0]))
