"""MetaOptNet (Lee et al. 2019, https://arxiv.org/abs/1904.03758): support vector machines, on rendered letters or on Omniglot.

    python -m experiments.train --config=configs/metaoptnet.py                                   (glyphs, nothing to download)
    python -m experiments.train --config=configs/metaoptnet.py:data=omniglot,ways=20,shots=5

Trained on 5 ways and 5 shots (the paper trains on more shots than the test has) with 5 queries, 8 episodes a step, every class in four
rotations; C = 0.1 as in the paper. Adam at 1e-3, by cosine to zero: ours. The paper has no Omniglot.

Expected: not yet run to its end.
"""
from configs import base


def get_config(arg=None):
    arg = base.parse_arg(arg, data=('glyphs', 'omniglot'), ways=5, shots=1, smoke=False)
    config = base.get_config()
    with config.unlocked():
        config.commands = ('train',)
        config.method = dict(name='metaoptnet', penalty=.1)
        config.net = dict(name='conv4', width=64, size=28)
        config.data = base.episodes(arg.data, ways=5, shots=5, queries=5, test=dict(ways=arg.ways, shots=arg.shots, queries=15))
        config.batch, config.steps, config.save_every, config.eval_batch = 8, 5_000, 500, 4
        if arg.smoke:
            base.few(config)
    return config
