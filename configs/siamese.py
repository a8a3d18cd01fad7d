"""Siamese networks for one-shot recognition (Koch et al. 2015), on rendered letters or on Omniglot.

    python -m experiments.train --config=configs/siamese.py                                   (glyphs, nothing to download)
    python -m experiments.train --config=configs/siamese.py:data=omniglot,ways=20,shots=5

Every query is compared with one example of 20 classes; same and different pairs count alike. The network is Conv4 on 28x28 pictures, not
the paper's on 105x105. Adam at 1e-3, by cosine to zero: ours.

Expected: not yet run to its end; published for the 20 official runs of Omniglot: 92.0 % right.
"""
from configs import base


def get_config(arg=None):
    arg = base.parse_arg(arg, data=('glyphs', 'omniglot'), ways=5, shots=1, smoke=False)
    config = base.get_config()
    with config.unlocked():
        config.commands = ('train',)
        config.method = dict(name='siamese')
        config.net = dict(name='conv4', width=64, size=28)
        config.data = base.episodes(arg.data, ways=20, shots=arg.shots, queries=5, test=dict(ways=arg.ways, shots=arg.shots, queries=15))
        config.batch, config.steps, config.save_every, config.eval_batch = 1, 10_000, 500, 4
        if arg.smoke:
            base.few(config)
    return config
