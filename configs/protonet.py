"""Prototypical networks (Snell et al. 2017, https://arxiv.org/abs/1703.05175), on rendered letters,
on Omniglot or on your own pictures.

    python -m experiments.train --config=configs/protonet.py  # rendered letters, no download
    python -m experiments.train --config=configs/protonet.py:data=omniglot,ways=20,shots=5
    # a folder of your own, with one folder per class
    python -m experiments.train --config=configs/protonet.py:data=PICTURES
    # predict new classes from a few labelled pictures of each
    python -m experiments.predict --workdir=RUN --support=LABELLED new/

PICTURES are read at 84 pixels. Three in ten of the classes are kept for the test, so that a test of
5 ways needs 17 classes or more, with 6 pictures or more in each. Training on a folder uses the
`ways` of the test and 5 queries, without rotations. Every few-shot config of labelled sets takes
such a folder.

Training on letters uses 60 ways, as many shots as the test, and 5 queries; the four rotations of a
character are four classes. These are the paper's settings. Adam at 1e-3 follows a cosine schedule
to zero; the paper halves the rate instead. Omniglot is read from `$TLJAX_DATA`.

Expected on Omniglot for 5-way 1-shot and 5-shot, 20-way 1-shot and 5-shot, after 4,000 steps at
2e-3 (RESULTS.md): 99.0 / 99.7 / 96.6 / 99.1 %. Published: 98.8 / 99.7 / 96.0 / 98.9 %.
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
    config = base.episodic(options, dict(name='protonet'), ways=60, shots=options.shots, queries=5)
    with config.unlocked():
        # Training
        config.batch = 1
        config.steps = 10_000
        config.eval_every = 2000
        if options.smoke:
            base.smoke_episodes(config)
    return config
