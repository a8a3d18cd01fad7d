"""Reptile (Nichol et al. 2018, https://arxiv.org/abs/1803.02999), on rendered letters or on
Omniglot.

    python -m experiments.train --config=configs/reptile.py  # glyphs, nothing to download
    python -m experiments.train --config=configs/reptile.py:data=omniglot,ways=20,shots=5

Inner training on 10 shots (1 and 5 shots in the test alike), five steps of Adam at 1e-3 on batches
of 10 (20 ways: ten, at 5e-4, of 20); five tasks a step; towards the mean of their weights by a
share that falls from 1 to 0; 50 inner steps in the test: the authors'.

Expected: 77.8 and 94.5 % at 5-way 1- and 5-shot after 4,000 steps (RESULTS.md), not yet run to its
end; published, Omniglot, transductive: 97.7 / 99.5 / 89.4 / 97.1 % for 5-way 1- and 5-shot, 20-way
1- and 5-shot.
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
    five = options.ways <= 5
    method = dict(
        name='reptile',
        steps=5 if five else 10,
        rate=1e-3 if five else 5e-4,
        batch=10 if five else 20,
        test_steps=50,
        test_batch=5 if five else 10,
    )
    config = base.episodic(
        options,
        method,
        ways=options.ways,
        shots=10,
        queries=1,
        test=dict(shots=options.shots, queries=5),
    )
    with config.unlocked():
        # Training
        config.optim.update(
            dict(
                name='sgd',
                lr=1.0,
                schedule='linear',
            )
        )
        config.batch = 5
        config.steps = 100_000
        config.save_every = 1000
        config.eval_batch = 16
        if options.smoke:
            base.smoke_episodes(config)
    return config
