"""Matching networks (Vinyals et al. 2016, https://arxiv.org/abs/1606.04080), on rendered letters or
on Omniglot.

    python -m experiments.train --config=configs/matching.py  # glyphs, nothing to download
    python -m experiments.train --config=configs/matching.py:data=omniglot,ways=20,shots=5

Trained on 20 ways (the paper trains on those of the test) with as many shots as in the test and 5
queries, every class in four rotations; cosines are multiplied by 10, which the paper does not do:
at 1 the softmax over many ways cannot become sharp. Full-context embeddings by
--config.method.context=True. Adam at 1e-3, by cosine to zero: ours.

Expected (RESULTS.md): 98.3 / 99.5 / 94.1 / 97.9 % after 8,000 steps of 20-way 1-shot at 2e-3, 98.4
/ 99.5 / 94.1 / 98.0 % after 6,000 of 40-way; published, Omniglot, without full context: 98.1 / 98.9
/ 93.8 / 98.5 % for 5-way 1- and 5-shot, 20-way 1- and 5-shot.
"""

from ml_collections import ConfigDict

from configs import base


def get_config(arg: str | None = None) -> ConfigDict:
    """A locked config, by its argument.

    Args:
        arg: what stands behind the colon of `--config`, with commas: 'data=omniglot', 'ways=20',
            'shots=5', 'smoke'; None for nothing.
    """
    options = base.episodic_arg(arg)
    method = dict(
        name='matching',
        context=False,
        scale=10.0,
    )
    config = base.episodic(options, method, ways=20, shots=options.shots, queries=5)
    with config.unlocked():
        # Training
        config.batch = 1
        config.steps = 20_000
        if options.smoke:
            base.smoke_episodes(config)
    return config
