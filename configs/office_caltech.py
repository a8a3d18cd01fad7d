"""Shallow domain adaptation on Office-Caltech10: 12 tasks, histograms of 800 visual words (Gong et
al. 2012).

    python -m experiments.shallow --config=configs/office_caltech.py
    python -m experiments.shallow --config=configs/office_caltech.py:source=amazon,target=webcam

The protocol is that of the published tables: each picture's histogram sums to 1, each domain is
standardised separately, all source examples are labelled, and the classifier is the nearest
neighbour. Settings of the methods are the papers'. Methods that weight examples use logistic
regression, because the nearest neighbour takes no weights. The folder of the four .mat files is
read from `$TLJAX_DATA`.

Expected (RESULTS.md), mean accuracy in %: source only 31.4, TCA 46.2 and JDA 46.8, all three as
published; GFK 42.9 (published: 43.1).
"""

from ml_collections import ConfigDict

from configs import base

DOMAINS = ('caltech', 'amazon', 'webcam', 'dslr')
# tasks for which Gong et al. give GFK 10 dimensions
TEN = (
    'webcam-dslr',
    'dslr-webcam',
    'webcam-amazon',
    'amazon-webcam',
    'caltech-dslr',
    'dslr-caltech',
)


def get_config(arg: str | None = None) -> ConfigDict:
    """Returns the locked config.

    Args:
        arg: comma-separated options after the colon of `--config`: 'source=A,target=B', 'smoke';
            None for the defaults.
    """
    options = base.parse_arg(arg, source=('', *DOMAINS), target=('', *DOMAINS), smoke=False)
    config = base.shallow()
    with config.unlocked():
        # Data
        path = base.data('office_caltech10_surf')
        config.domains = {
            name: dict(
                name='office_caltech',
                path=path,
                domain=name,
            )
            for name in DOMAINS
        }
        config.splits = dict(source=('train',), target=('test',))

        # Method
        config.methods = base.shallow_methods()
        config.methods.gfk.by_task = {task: dict(dim=10) for task in TEN}

        # Study
        task = base.pair(options)
        config.tasks = (task,) if task else ()
        if options.smoke:
            base.smoke_shallow(config)
    return config
