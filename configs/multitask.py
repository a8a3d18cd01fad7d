"""Do several tasks help each other when they are learnt together, and which pairs conflict?

    # MultiMNIST: the digits at the left and at the right of one picture
    python -m experiments.multitask --config=configs/multitask.py
    # the four domains of PACS as four tasks, with 10 labels per class
    python -m experiments.multitask --config=configs/multitask.py:data=pacs
    # with a task whose labels are permuted: it has to be found as one that conflicts, or as useless
    python -m experiments.multitask --config=configs/multitask.py:conflict,data=pacs
    # handwritten and printed digits, no download
    python -m experiments.multitask --config=configs/multitask.py:data=digits
    # one method, without a study
    python -m experiments.train --config=configs/multitask.py:train=pcgrad

MultiMNIST is made from MNIST, with the network of Sener and Koltun 2018 (LeNet, 10 and 20 channels
and 50 units). The tasks of PACS share one hidden layer on fixed features of MobileNet (alpha 0.25,
112 pixels, ImageNet weights). Data are read from `$TLJAX_DATA`. A network with BatchNorm would
normalise tasks of different sets together, so that one task's pictures change another's features;
these networks have none.

`study.strategies` are trained on all tasks. `hard_sharing` has equal weights and is the rival of
the others. `study.sequence` has what differs where a task is trained after another. The rates of
`study.rates` are chosen on the validation split, on the seeds `study.choosing`, for each strategy,
for tasks alone, for pairs and for sequences. Other settings are the papers', or were not tuned.

Expected (results/multitask.md): MultiMNIST, hard sharing 1 point behind each task alone and
cross-stitch 1 ahead; PACS, no gain or harm detected with 10 labels; the permuted task is found, by
a loss of 2.6 points with the photographs that it shares. 27, 4 and 7 minutes on one core.
"""

from collections.abc import Sequence

from ml_collections import ConfigDict

from configs import base
from tljax.protocols import Config

DATA = ('multi_mnist', 'pacs', 'digits')


def get_config(arg: str | None = None) -> ConfigDict:
    """Returns the locked config.

    Args:
        arg: comma-separated options after the colon of `--config`: 'data=NAME', 'conflict',
            'train=NAME', 'smoke'; None for the defaults.
    """
    options = base.parse_arg(arg, data=DATA, conflict=False, train='', smoke=False)
    config = base.get_config()
    with config.unlocked():
        config.commands = ('multitask', 'train')

        # Data and network
        _data(config, 'digits' if options.smoke else options.data)
        if options.conflict:
            like = dict(multi_mnist='left', pacs='photo', digits='handwritten')
            config.data = dict(name='shuffled_task', of=config.data, like=like[options.data])
            config.per_class = None  # its examples have labels of two tasks each

        # Method
        strategies = _strategies(config, _names(options))
        config.method = dict(name='hard_sharing')
        if options.train:
            config.update(strategies[options.train])

        # Training
        config.seeds = tuple(range(1000, 1005))
        config.optim.lr = 1e-3
        config.log_every = 500

        # Study
        config.study = ConfigDict(
            dict(
                strategies=strategies,
                sequence=dict(),
                rates=(1e-3, 3e-3),
                choosing=(0, 1),
            ),
            sort_keys=False,
        )
        if options.smoke:
            _smoke(config)
    return config


def _data(config: ConfigDict, name: str) -> None:
    """Sets the data, the network and the length of a training."""
    if name == 'multi_mnist':
        config.data = dict(name='multi_mnist', path=base.data('mnist/raw'))
        config.net = dict(name='lenet', widths=(10, 20), dense=(50,))
        config.steps = 1000
        config.batch = 64
    if name == 'pacs':
        domains = dict(name='joint_tasks', of={}, shares='equal')
        domains['of'] = {domain: base.pacs(domain) for domain in base.PACS}
        config.data = dict(
            name='extracted', of=domains, net=base.mobilenet(), weights=base.mobilenet_weights()
        )
        config.net = dict(name='mlp', widths=(256,))
        config.per_class = 10
        config.steps = 300
        config.batch = 32
    if name == 'digits':
        sets = dict(
            handwritten=dict(name='digits', size=8),
            printed=dict(name='glyphs', part='digits', size=8, per_class=200),
        )
        config.data = dict(name='joint_tasks', of=sets, shares='equal')
        config.net = dict(name='conv4', width=(16, 32), size=8, norm='layer')
        config.steps = 500
        config.batch = 32


def _strategies(config: ConfigDict, names: Sequence[str]) -> dict[str, Config]:
    """Returns the settings of each method of joint training."""
    strategies: dict[str, Config] = {name: dict(method=dict(name=name)) for name in names}
    if 'dynamic_weights' in names:
        strategies['dynamic_weights']['method']['window'] = config.steps // 20
    if 'cross_stitch' in names:  # as the paper advises, its units learn faster than the networks
        strategies['cross_stitch']['groups'] = dict(stitch=dict(scale=10.0))
    return strategies


def _names(options: ConfigDict) -> list[str]:
    """Returns the methods of joint training: that of `train`, or all of the chapter."""
    from tljax.core import nearest_name
    from tljax.keywords import method_names

    names = method_names('multitask')
    if options.train and options.train not in names:
        raise ValueError(
            f'config argument train={options.train} is unknown: '
            f'{nearest_name(options.train, names)}'
        )
    if options.smoke and not options.train:
        return ['hard_sharing', 'pcgrad', 'cross_stitch']
    return [options.train] if options.train else names


def _smoke(config: ConfigDict) -> None:
    """Makes the config as small as a test of it can be."""
    data = config.data.of if config.data.name == 'shuffled_task' else config.data
    data.of.printed.per_class = 10
    config.net = base.smallest()
    config.seeds = (1000, 1001)
    config.steps = 2
    config.batch = 8
    config.study.rates = (1e-3,)
