"""Matching networks (Vinyals et al. 2016, https://arxiv.org/abs/1606.04080), on rendered letters or on Omniglot.

    python -m experiments.train --config=configs/matching.py                                   (glyphs, nothing to download)
    python -m experiments.train --config=configs/matching.py:data=omniglot,ways=20,shots=5

Trained on 20 ways (the paper trains on those of the test) with as many shots as in the test and 5 queries, every class in four rotations;
cosines are multiplied by 10, which the paper does not do: at 1 the softmax over many ways cannot become sharp. Full-context embeddings by
--config.method.context=True. Adam at 1e-3, by cosine to zero: ours.

Expected (RESULTS.md): 98.3 / 99.5 / 94.1 / 97.9 % after 8,000 steps of 20-way 1-shot at 2e-3, 98.4 / 99.5 / 94.1 / 98.0 % after 6,000 of
40-way; published, Omniglot, without full context: 98.1 / 98.9 / 93.8 / 98.5 % for 5-way 1- and 5-shot, 20-way 1- and 5-shot.
"""
from configs import base


def get_config(arg=None):
    arg = base.parse_arg(arg, data=('glyphs', 'omniglot'), ways=5, shots=1, smoke=False)
    config = base.get_config()
    with config.unlocked():
        config.commands = ('train',)
        config.method = dict(name='matching', context=False, scale=10.)
        config.net = dict(name='conv4', width=64, size=28)
        config.data = base.episodes(arg.data, ways=20, shots=arg.shots, queries=5, test=dict(ways=arg.ways, shots=arg.shots, queries=15))
        config.batch, config.steps, config.save_every, config.eval_batch = 1, 20_000, 500, 4
        if arg.smoke:
            base.few(config)
    return config
