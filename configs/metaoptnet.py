"""MetaOptNet (Lee et al. 2019, https://arxiv.org/abs/1904.03758): support vector machines, on
rendered letters or on Omniglot.

    python -m experiments.train --config=configs/metaoptnet.py  # glyphs, nothing to download
    python -m experiments.train --config=configs/metaoptnet.py:data=omniglot,ways=20,shots=5

Trained on 5 ways and 5 shots (the paper trains on more shots than the test has) with 5 queries, 8
episodes a step, every class in four rotations; C = 0.1 as in the paper. Adam at 1e-3, by cosine to
zero: ours. The paper has no Omniglot.

Expected: not yet run to its end.
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
    config = base.episodic(
        options, dict(name='metaoptnet', penalty=0.1), ways=5, shots=5, queries=5
    )
    with config.unlocked():
        # Training
        config.batch = 8
        config.steps = 5_000
        if options.smoke:
            base.smoke_episodes(config)
    return config
