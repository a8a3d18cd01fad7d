"""Reptile (Nichol et al. 2018, https://arxiv.org/abs/1803.02999), on rendered letters or on
Omniglot.

    python -m experiments.train --config=configs/reptile.py  # rendered letters, no download
    python -m experiments.train --config=configs/reptile.py:data=omniglot,ways=20,shots=5

The settings are the authors'. Inner training uses 10 shots, whether the test has 1 or 5, and takes
five steps of Adam at 1e-3 on batches of 10 (20 ways: ten steps at 5e-4 on batches of 20). A step
has five tasks. It moves the weights towards the mean of the tasks' trained weights, by a share that
falls from 1 to 0. The test takes 50 inner steps.

Expected: 77.8 and 94.5 % at 5-way 1-shot and 5-shot after 4,000 steps (RESULTS.md); no run has been
trained to its end yet. Published, Omniglot, transductive: 97.7 / 99.5 / 89.4 / 97.1 % for 5-way
1-shot and 5-shot, 20-way 1-shot and 5-shot.
"""

from ml_collections import ConfigDict

from configs import base


def get_config(arg: str | None = None) -> ConfigDict:
    """Returns the locked config.

    Args:
        arg: comma-separated options after the colon of `--config`: 'data=omniglot', 'ways=20',
            'shots=5', 'smoke'; None for the defaults.
    """
    options = base.episodic_arg(arg)
    few_ways = options.ways <= 5
    method = dict(
        name='reptile',
        steps=5 if few_ways else 10,
        rate=1e-3 if few_ways else 5e-4,
        batch=10 if few_ways else 20,
        test_steps=50,
        test_batch=5 if few_ways else 10,
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
