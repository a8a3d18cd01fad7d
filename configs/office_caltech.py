"""Shallow domain adaptation on Office-Caltech10, 12 tasks of 800 visual words (Gong et al. 2012).

    python -m experiments.shallow --config=configs/office_caltech.py
    python -m experiments.shallow --config=configs/office_caltech.py:source=amazon,target=webcam

The protocol of the published tables: each picture's histogram sums to 1, each domain is
standardised by itself, all of the source is labelled, 1-nearest-neighbour. Settings are the
papers'; weights need a classifier that takes them, logistic regression. The folder of the four .mat
files is looked for under `$TLJAX_DATA`.

Expected (RESULTS.md), mean accuracy: source only 31.4, TCA 46.2, JDA 46.8 as published; GFK 42.9
(43.1).
"""

from ml_collections import ConfigDict

from configs import base

DOMAINS = ('caltech', 'amazon', 'webcam', 'dslr')
# Gong's GFK has 10 dimensions there
TEN = (
    'webcam-dslr',
    'dslr-webcam',
    'webcam-amazon',
    'amazon-webcam',
    'caltech-dslr',
    'dslr-caltech',
)


def get_config(arg: str | None = None) -> ConfigDict:
    """A locked config, by its argument.

    Args:
        arg: what stands behind the colon of `--config`, with commas: 'source=A,target=B', 'smoke';
            None for nothing.
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
        config.tasks = tuple(filter(None, [base.pair(options)]))
        if options.smoke:
            base.smoke_shallow(config)
    return config
