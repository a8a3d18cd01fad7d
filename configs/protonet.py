"""Prototypical networks (Snell et al. 2017, https://arxiv.org/abs/1703.05175), on rendered letters
or on Omniglot.

    python -m experiments.train --config=configs/protonet.py  # glyphs, nothing to download
    python -m experiments.train --config=configs/protonet.py:data=omniglot,ways=20,shots=5
    # a folder per class; of your own
    python -m experiments.train --config=configs/protonet.py:data=PICTURES
    # new classes, by a few pictures of each
    python -m experiments.predict --workdir=RUN --support=LABELLED new/

PICTURES are read at 84 pixels; three in ten of their classes are kept for the test, so that 5 ways
want 17 classes or more, of 6 pictures or more, in which training takes `ways` and 5 queries, too,
and turns nothing. Every few-shot config of labelled sets takes such a folder.

Trained on 60 ways with as many shots as in the test and 5 queries, on every class in four
rotations, as in the paper; Adam at 1e-3, by cosine to zero instead of halving. Omniglot is looked
for under `$TLJAX_DATA`.

Expected on Omniglot for 5-way 1- and 5-shot, 20-way 1- and 5-shot, after 4,000 steps at 2e-3
(RESULTS.md): 99.0 / 99.7 / 96.6 / 99.1 %; published: 98.8 / 99.7 / 96.0 / 98.9 %.
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
    config = base.episodic(options, dict(name='protonet'), ways=60, shots=options.shots, queries=5)
    with config.unlocked():
        # Training
        config.batch = 1
        config.steps = 10_000
        config.eval_every = 2000
        if options.smoke:
            base.smoke_episodes(config)
    return config
