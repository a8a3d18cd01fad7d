"""Do pseudo-labels or FixMatch (Sohn et al. 2020) replace labels, and how many, when there are many
unlabelled pictures?

    python -m experiments.compare --config=configs/fixmatch.py

The data are scikit-learn's handwritten digits. 1 to 20 examples per class have their label; the
inputs of all 899 training examples are used. `supervised` trains on the labelled examples only. All
three strategies augment them in the same way. Data and numbers of labels match configs/digits.py,
where a source replaces labels.

Hyper-parameters: threshold .95 and weight 1 are the paper's. A batch has as many unlabelled
examples as labelled ones (the paper: seven times as many). Nothing was tuned.

Expected (RESULTS.md), with 1, 2, 5 and 20 labels per class: FixMatch 80.6, 90.1, 96.9 and 98.8 %,
pseudo-labels 66.4, 87.1, 96.1 and 97.7 %, supervised 66.1, 82.0, 92.2 and 97.1 %.
"""

from ml_collections import ConfigDict

from configs import base


def get_config(arg: str | None = None) -> ConfigDict:
    """Returns the locked config.

    Args:
        arg: option after the colon of `--config`: 'smoke'; None for the defaults.
    """
    options = base.parse_arg(arg, smoke=False)
    config = base.get_config()
    with config.unlocked():
        config.commands = ('compare', 'train')

        # Data
        config.data = dict(name='semi_supervised', of=dict(name='digits', size=16))

        # Network
        config.net = dict(
            name='conv4',
            width=(32, 64, 128),
            blocks=3,
            size=16,
        )

        # Training
        config.seeds = tuple(range(5))
        config.steps = 1000
        config.batch = 32
        config.optim.lr = 2e-3

        # Study
        weak = (dict(name='crop', padding=2),)
        config.study.baseline = 'supervised'
        config.study.budgets = (1, 2, 5, 20)
        strategies = config.study.strategies
        strategies.supervised = dict(augment=weak)
        strategies.pseudo_labels = dict(
            augment=weak,
            method=dict(
                name='self_training',
                threshold=0.95,
                ramp=500,
            ),
        )
        strategies.fixmatch = dict(method=dict(name='fixmatch', weak=weak))
        if options.smoke:
            config.data.of.size = 8
            config.net = base.smallest()
            config.seeds = (0, 1)
            config.steps = 2
            config.batch = 4
            config.study.budgets = (1,)
    return config
