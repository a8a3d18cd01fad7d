"""SimpleShot (Wang et al. 2019, https://arxiv.org/abs/1911.04623): nearest centroids, on rendered letters or on Omniglot.

    python -m experiments.train --config=configs/simpleshot.py                                   (glyphs, nothing to download)
    python -m experiments.train --config=configs/simpleshot.py:data=omniglot,ways=20,shots=5

A classifier of the training characters, every one in four rotations, on batches of 128; centred and normalised features in the test.
Adam at 1e-3, by cosine to zero: ours. The paper has no Omniglot.

Expected: not yet run to its end.
"""
from configs import base


def get_config(arg=None):
    arg = base.parse_arg(arg, data=('glyphs', 'omniglot'), ways=5, shots=1, smoke=False)
    config = base.get_config()
    with config.unlocked():
        config.commands = ('train',)
        config.method = dict(name='simpleshot', transform='CL2N')
        config.net = dict(name='conv4', width=64, size=28)
        config.data = base.episodes(arg.data, pictures=True, test=dict(ways=arg.ways, shots=arg.shots, queries=15))
        config.batch, config.steps, config.save_every, config.eval_batch = 128, 10_000, 500, 4
        if arg.smoke:
            base.few(config, pictures=True)
    return config
