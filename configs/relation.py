"""Relation networks (Sung et al. 2018, https://arxiv.org/abs/1711.06025), on rendered letters or on Omniglot.

    python -m experiments.train --config=configs/relation.py                                   (glyphs, nothing to download)
    python -m experiments.train --config=configs/relation.py:data=omniglot,ways=20,shots=5

Trained on the ways and shots of the test with 10 queries, every class in four rotations, four episodes a step; the embedding is the map of
the second block, as in the paper, where two blocks pool and two do not. Adam at 1e-3, by cosine to zero instead of halving.

Expected: not yet run to its end; published, Omniglot: 99.6 / 99.8 / 97.6 / 99.1 % for 5-way 1- and 5-shot, 20-way 1- and 5-shot.
"""
from configs import base


def get_config(arg=None):
    arg = base.parse_arg(arg, data=('glyphs', 'omniglot'), ways=5, shots=1, smoke=False)
    config = base.get_config()
    with config.unlocked():
        config.commands = ('train',)
        config.method = dict(name='relation', tap='block2')
        config.net = dict(name='conv4', width=64, size=28, blocks=2)
        config.data = base.episodes(arg.data, ways=arg.ways, shots=arg.shots, queries=10)
        config.batch, config.steps, config.save_every, config.eval_batch = 4, 10_000, 500, 4
        if arg.smoke:
            base.few(config)
    return config
