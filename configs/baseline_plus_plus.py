"""Baseline++ (Chen et al. 2019, https://arxiv.org/abs/1904.04232): cosine classifiers, on rendered letters or on Omniglot.

    python -m experiments.train --config=configs/baseline_plus_plus.py                                   (glyphs, nothing to download)
    python -m experiments.train --config=configs/baseline_plus_plus.py:data=omniglot,ways=20,shots=5

A cosine classifier of the training characters, every one in four rotations, on batches of 128; 100 steps for a new one in the test, as the
authors do. Adam at 1e-3, by cosine to zero: ours. The paper's Omniglot is used to cross to other characters (EMNIST), not by itself.

Expected: not yet run to its end.
"""
from configs import base


def get_config(arg=None):
    arg = base.parse_arg(arg, data=('glyphs', 'omniglot'), ways=5, shots=1, smoke=False)
    config = base.get_config()
    with config.unlocked():
        config.commands = ('train',)
        config.method = dict(name='baseline_plus_plus', scale=10., steps=100)
        config.net = dict(name='conv4', width=64, size=28)
        config.data = base.episodes(arg.data, pictures=True, test=dict(ways=arg.ways, shots=arg.shots, queries=15))
        config.batch, config.steps, config.save_every, config.eval_batch = 128, 10_000, 500, 4
        if arg.smoke:
            base.few(config, pictures=True)
    return config
