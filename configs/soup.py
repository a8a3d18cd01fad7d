"""Is the average of several fine-tuned networks better than the best of them?

    python -m experiments.soup --config=configs/soup.py
    # also photo, art_painting, cartoon; other seeds
    python -m experiments.soup --config=configs/soup.py:domain=cartoon,first=0
    # BatchNorm of trained layers on the batch's statistics, which averages then have anew
    python -m experiments.soup --config=configs/soup.py --config.phases.members.statistics=follow

The source is MobileNet (alpha 0.25) trained on ImageNet, the target one domain of PACS (Li et al.
2017, https://arxiv.org/abs/1710.03077): seven classes, 112x112 pixels, 20 labels per class. A
linear probe is trained for each of four draws of labels. From it nine members are trained: three
rates of the backbone, each without augmentation, with flips, and with crops and flips. The files
are read from `$TLJAX_DATA`.

`middle_plain` is plain fine-tuning, at the rate of configs/pacs.py. The grid was tuned in one
respect, on the validation split of sketch, seeds 0 to 3: members at the head's own rate lost 12
points, and the uniform soup of eight members, two of them at that rate, had 30 % where fine-tuning
had 63 %. That rate was left out. The validation split, which chooses the best member, the greedy
soup and the weight of WiSE-FT, has more labels than training.

Expected (results/pacs.md), sketch, seeds 1000 to 1003: fine-tuning 65.8 %, the best member, the
uniform and the greedy soup 0.7, 1.1 and 1.1 points above it and WiSE-FT 0.8 below; four draws do
not tell any of these from 0. Seven minutes of processor time.
"""

from ml_collections import ConfigDict

from configs import base

RATES = dict(slow=0.03, middle=0.1, fast=0.3)  # of the backbone, as shares of the head's
AUGMENTATIONS = dict(plain=(), flipped=('flip',), cropped=('resized_crop', 'flip'))


def get_config(arg: str | None = None) -> ConfigDict:
    """Returns the locked config.

    Args:
        arg: comma-separated options after the colon of `--config`: 'domain=sketch' (also photo,
            art_painting, cartoon), 'first=1000' (the first of four seeds), 'smoke'; None for the
            defaults.
    """
    options = base.parse_arg(
        arg,
        domain=('sketch', 'photo', 'art_painting', 'cartoon'),
        first=1000,
        smoke=False,
    )
    config = base.get_config()
    with config.unlocked():
        config.commands = ('soup',)

        # Data
        config.data = base.pacs(options.domain)
        config.per_class = 20

        # Network
        config.net = base.mobilenet(momentum=0.9)
        config.init.path = base.mobilenet_weights()

        # Training
        config.seeds = tuple(range(options.first, options.first + 4))
        config.steps = 150
        config.batch = 16
        config.optim.lr = 1e-3
        config.statistics = 'stored'

        # Phases
        config.phases.probe = dict(
            steps=500,
            partition=dict(name='freeze', until='backbone'),
            optim=dict(lr=1e-2),
        )
        config.phases.members = dict(
            init=dict(
                path='',
                phase='probe',
                rules=(('.*', None),),
            ),
        )

        # Study
        config.study = ConfigDict(
            dict(
                members=_members(),
                baseline='middle_plain',
                weights=tuple(tenth / 10 for tenth in range(11)),
            ),
            sort_keys=False,
        )
        if options.smoke:
            _smoke(config)
    return config


def _members() -> ConfigDict:
    """Returns a member for every rate and augmentation."""
    members = ConfigDict(sort_keys=False)
    for rate, scale in RATES.items():
        for augmentation, augment in AUGMENTATIONS.items():
            members[f'{rate}_{augmentation}'] = dict(
                groups=dict(backbone=dict(scale=scale)), augment=augment
            )
    return members


def _smoke(config: ConfigDict) -> None:
    """Makes the config as small as a test of it can be."""
    config.data = dict(name='digits', size=8)
    config.per_class = 2
    config.net = base.smallest()
    config.init.path = ''
    config.seeds = (0, 1)
    config.steps = 2
    config.phases.probe.steps = 2
    config.study.weights = (0.0, 0.5, 1.0)
    members = config.study.members
    config.study.members = ConfigDict(
        {name: members[name] for name in ('middle_plain', 'fast_cropped')}, sort_keys=False
    )
