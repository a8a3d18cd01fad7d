"""MAML on sine waves (Finn et al. 2017, section 5.1, https://arxiv.org/abs/1703.03400), against a
network pre-trained on all waves.

    # MAML: ten points, one inner step
    python -m experiments.train --config=configs/sine.py
    # the same network trained on all waves at once, with the same step in the test
    python -m experiments.train --config=configs/sine.py:pretrained

The settings are the authors': inner rate 0.01, Adam at 1e-3, 25 waves a step, two layers of 40
units.

Expected (RESULTS.md): after one step on ten points, the squared error is 0.39 with MAML and 2.29
with pre-training, on average over five seeds.
"""

from ml_collections import ConfigDict

from configs import base


def get_config(arg: str | None = None) -> ConfigDict:
    """Returns the locked config.

    Args:
        arg: comma-separated options after the colon of `--config`: 'pretrained', 'smoke'; None
            for the defaults.
    """
    options = base.parse_arg(arg, pretrained=False, smoke=False)
    config = base.get_config()
    with config.unlocked():
        config.commands = ('train',)

        # Data
        config.data = dict(
            name='sine',
            shots=10,
            queries=10,
        )

        # Network
        config.net = dict(name='mlp')

        # Method
        config.method = dict(
            name='maml', steps=0 if options.pretrained else 1, rate=0.01, test_steps=1, chunk=25
        )

        # Training
        config.optim.schedule = 'constant'
        config.batch = 25
        config.steps = 30_000
        config.eval_batch = 100
        config.chunk = 100
        if options.smoke:
            config.seeds = (0, 1)
            config.steps = 2
            config.data.count = 4
    return config
