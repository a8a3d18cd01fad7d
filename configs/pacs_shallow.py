"""Shallow domain adaptation between photographs, paintings, cartoons and sketches: PACS, 12 tasks,
on features of an ImageNet network.

    python -m experiments.shallow --config=configs/pacs_shallow.py
    python -m experiments.shallow --config=configs/pacs_shallow.py:source=photo,target=sketch

Features are those of MobileNet (alpha 0.25, 112 pixels) with its ImageNet weights, extracted once
and scaled to rows of unit length. A domain's pictures are all used, as source and as target. The
ZIP and the weights are read from `$TLJAX_DATA`.

Expected (RESULTS.md), mean accuracy in %: source only 42.9, subspace alignment 46.2. 44 of 156
gains are negative.
"""

from ml_collections import ConfigDict

from configs import base


def get_config(arg: str | None = None) -> ConfigDict:
    """Returns the locked config.

    Args:
        arg: comma-separated options after the colon of `--config`: 'source=A,target=B', 'smoke';
            None for the defaults.
    """
    options = base.parse_arg(arg, source=('', *base.PACS), target=('', *base.PACS), smoke=False)
    config = base.shallow()
    with config.unlocked():
        # Data
        config.domains = {name: base.pacs(name) for name in base.PACS}

        # Network
        config.net = base.mobilenet()
        config.init.path = base.mobilenet_weights()
        config.scale = 'unit'

        # Method
        config.methods = base.shallow_methods(classifier='logistic')

        # Study
        task = base.pair(options)
        config.tasks = (task,) if task else ()
        if options.smoke:
            base.smoke_shallow(config)
    return config
