"""Matching networks (Vinyals et al. 2016, https://arxiv.org/abs/1606.04080), on rendered letters or
on Omniglot.

    python -m experiments.train --config=configs/matching.py  # rendered letters, no download
    python -m experiments.train --config=configs/matching.py:data=omniglot,ways=20,shots=5

Training uses 20 ways (the paper uses the ways of the test), as many shots as the test, and 5
queries; the four rotations of a character are four classes. Cosines are multiplied by 10. The paper
does not multiply them, but with a factor of 1 the softmax over many ways cannot become sharp.
--config.method.context=True switches full-context embeddings on. Adam at 1e-3 with a cosine
schedule to zero is our choice.

Expected (RESULTS.md): 98.3 / 99.5 / 94.1 / 97.9 % after 8,000 steps of 20-way 1-shot at 2e-3, 98.4
/ 99.5 / 94.1 / 98.0 % after 6,000 steps of 40-way. Published, Omniglot, without full context: 98.1
/ 98.9 / 93.8 / 98.5 %. The four numbers are for 5-way 1-shot and 5-shot, 20-way 1-shot and 5-shot.
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
