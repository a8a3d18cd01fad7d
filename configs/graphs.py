"""Citation networks: topics of papers in ACMv9, Citationv1 and DBLPv7, six tasks (Shen et al.
2020).

    python -m experiments.graphs --config=configs/graphs.py
    python -m experiments.graphs --config=configs/graphs.py:source=acmv9,target=citationv1

All papers of the source have labels, and none of the target. Adaptation is by MMD (DAN) and by an
adversary (DANN). The three .mat files are read from `$TLJAX_DATA`. A network of one's own is
`dict(name='nodes', edges='edges.csv', table='nodes.csv')` in a copy of this file.

Expected (results/graphs.md), seeds 1000 to 1004, five hops: from ACMv9 to DBLPv7 69.5 % top-1 from
the source alone and 75.0 % with MMD; MMD gains on four of six tasks and hurts from DBLPv7 to ACMv9.
A quarter of an hour on one core.
"""

from ml_collections import ConfigDict

from configs import base

NETWORKS = ('acmv9', 'citationv1', 'dblpv7')


def get_config(arg: str | None = None) -> ConfigDict:
    """Returns the locked config.

    Args:
        arg: comma-separated options after the colon of `--config`: 'source=A,target=B', 'hops=5'
            (by default 2 and 5), 'first=1000' (the first of the five seeds), 'smoke'; None for the
            defaults.
    """
    options = base.parse_arg(
        arg, source=('', *NETWORKS), target=('', *NETWORKS), hops=0, first=1000, smoke=False
    )
    path = base.data('citation_networks')
    task = base.pair(options)
    config = ConfigDict(
        dict(
            commands=('graphs',),
            # Data
            networks=ConfigDict(
                {
                    name: dict(name='citation', path=path, network=name, directions=100)
                    for name in NETWORKS
                },
                sort_keys=False,
            ),
            tasks=(task,) if task else (),  # 'source-target'; (): all ordered pairs
            hops=(options.hops,) if options.hops else (2, 5),
            # Network and training, the same for all strategies
            net=dict(name='graph_perceptron', widths=(128,), dropout=0.5),
            training=dict(
                steps=400,
                batch=256,
                optim=dict(lr=1e-3),
            ),
            # Strategies, beside the source alone
            strategies=ConfigDict(
                dict(
                    mmd=dict(method=dict(name='dan', layers=('features', 'logits'), weight=1.0)),
                    adversary=dict(method=dict(name='dann', weight=1.0, ramp=400)),
                ),
                sort_keys=False,
            ),
            strength=0.8,  # of label propagation
            labels=5,  # of the target, per class, for the start from the source's parameters; 0: no
            # Study
            seeds=tuple(range(options.first, options.first + 5)),
        ),
        sort_keys=False,
    )
    if options.smoke:
        _smoke(config)
    return config.lock()


def _smoke(config: ConfigDict) -> None:
    """Makes the config as small as a test of it can be."""
    config.networks = dict(
        here=dict(name='blocks', nodes=60),
        there=dict(name='blocks', nodes=60, shift=0.5, seed=1),
    )
    config.tasks = ('here-there',)
    config.hops = (1,)
    config.net.widths = (4,)
    config.training.steps = 2
    config.training.batch = 8
    del config.strategies['adversary']
    config.labels = 1
    config.seeds = (0, 1)
