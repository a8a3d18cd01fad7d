"""Ridge regression within the episode (R2-D2, Bertinetto et al. 2019, https://arxiv.org/abs/1805.08136), letters or Omniglot.

    python -m experiments.train --config=configs/ridge.py                                   (glyphs, nothing to download)
    python -m experiments.train --config=configs/ridge.py:data=omniglot,ways=20,shots=5

Trained on 20 ways with as many shots as in the test and 5 queries, every class in four rotations. Adam at 1e-3, by cosine to zero: ours.

Expected: not yet run to its end; published, Omniglot: 98.9 / 99.7 / 96.7 / 98.9 % (with their wider network).
"""
from configs import base


def get_config(arg=None):
    arg = base.parse_arg(arg, data=('glyphs', 'omniglot'), ways=5, shots=1, smoke=False)
    config = base.get_config()
    with config.unlocked():
        config.commands = ('train',)
        config.method = dict(name='ridge')
        config.net = dict(name='conv4', width=64, size=28)
        config.data = base.episodes(arg.data, ways=20, shots=arg.shots, queries=5, test=dict(ways=arg.ways, shots=arg.shots, queries=15))
        config.batch, config.steps, config.save_every, config.eval_batch = 1, 10_000, 500, 4
        if arg.smoke:
            base.few(config)
    return config
