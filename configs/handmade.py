"""Deep features against hand-made ones: HOG and bags of visual words against frozen networks, on
PACS and on handwritten digits.

    python -m experiments.handmade --config=configs/handmade.py
    # one data set
    python -m experiments.handmade --config=configs/handmade.py:data=sketch

All pictures have 112 pixels, for every feature. Those of the digits are enlarged from 28 (MNIST)
and 16 (USPS), because ORB has no descriptors within 20 pixels of a border; at most 2,000 of each
split are used. Visual words come from the training pictures of the set, without labels. The
networks are MobileNet (alpha 0.25) and EfficientNet-Lite0 with their ImageNet weights; `untrained`
is the former with random weights, a control. Data and weights are read from `$TLJAX_DATA`.

Expected (results/features.md), 20 labels per class: the best deep feature is 16 to 36 points ahead
of the best hand-made one on PACS, and 4 to 6 points behind it, HOG, on digits. Half an hour on one
core.
"""

from ml_collections import ConfigDict

from configs import base
from tljax.protocols import Config


def get_config(arg: str | None = None) -> ConfigDict:
    """Returns the locked config.

    Args:
        arg: comma-separated options after the colon of `--config`: 'data=' with one of the sets (by
            default all), 'first=1000' (the first of the 8 seeds), 'smoke'; None for the defaults.
    """
    sets = {name: base.pacs(name) for name in base.PACS}
    for name, digits in (('mnist', base.mnist()), ('usps', base.usps())):
        sets[name] = dict(name='resampled', of=digits, size=112, most=2000)
    options = base.parse_arg(arg, data=('', *sets), first=1000, smoke=False)
    if options.data:
        sets = {options.data: sets[options.data]}
    config = ConfigDict(
        dict(
            commands=('handmade',),
            sets=ConfigDict(sets, sort_keys=False),  # name -> a set of tljax.data
            # group -> feature -> setting -> a set of tljax.data around those sets
            features=ConfigDict(
                dict(handmade=_handmade(), deep=_deep(), control=_control()), sort_keys=False
            ),
            scales=('unit', 'standard'),  # of rows, of columns
            # on the squared weights of the probe
            penalties=(1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0),
            budgets=(5, 20),  # labels per class
            seeds=tuple(range(options.first, options.first + 8)),  # one draw of labels each
        ),
        sort_keys=False,
    )
    if options.smoke:
        _smoke(config)
    return config.lock()


def _handmade() -> Config:
    """The hand-made features, each with three settings."""
    bag = dict(name='handmade_bag')
    return dict(
        hog={f'cell_{cell}': dict(name='handmade_hog', cell=cell) for cell in (8, 16, 28)},
        sift={f'words_{n}': dict(bag, descriptor='sift', words=n) for n in (100, 300, 1000)},
        orb={f'words_{n}': dict(bag, descriptor='orb', words=n) for n in (100, 300, 1000)},
    )


def _deep() -> Config:
    """The features of networks with ImageNet weights."""
    return dict(
        mobilenet=dict(
            imagenet=dict(
                name='extracted',
                net=base.mobilenet(),
                weights=base.mobilenet_weights(),
            )
        ),
        lite0=dict(
            imagenet=dict(
                name='extracted',
                net=base.lite0(),
                weights=base.lite0_weights(),
            )
        ),
    )


def _control() -> Config:
    """The features of a network that was not trained."""
    return dict(
        untrained=dict(random=dict(name='extracted', net=base.mobilenet(), weights='')),
    )


def _smoke(config: ConfigDict) -> None:
    """Makes the config as small as a test of it can be."""
    digits = dict(name='resampled', of=dict(name='digits', size=8), size=48, most=30)
    config.sets = dict(digits=digits)
    config.features = dict(
        handmade=dict(
            hog={f'cell_{cell}': dict(name='handmade_hog', cell=cell) for cell in (8, 16)},
            orb=dict(words_10=dict(name='handmade_bag', descriptor='orb', words=10)),
        ),
        deep=dict(
            untrained=dict(
                random=dict(
                    name='extracted',
                    net=dict(name='conv4', width=4, blocks=1, size=48),
                    weights='',
                ),
            ),
        ),
    )
    config.penalties = (0.1, 1.0)
    config.budgets = (1,)
    config.seeds = (0, 1)
