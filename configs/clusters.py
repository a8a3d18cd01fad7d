"""Unlabelled targets: handwritten digits or USPS, with characters of Omniglot as the source.

    python -m experiments.clusters --config=configs/clusters.py
    python -m experiments.clusters --config=configs/clusters.py:target=usps
    # printed letters as the source, which need no download
    python -m experiments.clusters --config=configs/clusters.py:source=glyphs
    # SimCLR for a target of 150 pictures, from the digits of MNIST, whose labels are not read
    python -m experiments.clusters --config=configs/clusters.py:source=mnist,few

The source has other classes than the target, as in self-taught learning (Raina et al. 2007):
letters teach what strokes look like, and digits are clustered. The held-out examples of the target
are clustered, and its training examples train the networks. Omniglot and USPS are read from
`$TLJAX_DATA`.

Expected (results/clusters.md), spectral clustering: SimCLR from both sets has an NMI of 85.4 % on
the digits and 73.0 % on USPS, the inputs 82.1 and 69.1 %, SimCLR from the target alone 84.9 and
73.4 %.
"""

from ml_collections import ConfigDict, config_dict

from configs import base
from tljax.protocols import Config

HELD_OUT = {'digits': ('validation', 'test'), 'usps': ('test',)}
SIZE = 16  # side of all pictures, in pixels


def get_config(arg: str | None = None) -> ConfigDict:
    """Returns the locked config.

    Args:
        arg: comma-separated options after the colon of `--config`: 'target=usps', 'source=mnist' or
            'source=glyphs', 'few', 'first=1000' (the first of the five seeds), 'smoke'; None for
            the defaults.
    """
    options = base.parse_arg(
        arg,
        target=('digits', 'usps'),
        source=('omniglot', 'glyphs', 'mnist'),
        few=False,
        first=1000,
        smoke=False,
    )
    config = ConfigDict(
        dict(
            commands=('clusters',),
            # Data
            target=_target(options.target),
            source=_source(options.source),
            examples=HELD_OUT[options.target],  # splits of the target that are clustered
            # training examples of the target that a seed draws; None: all
            target_examples=config_dict.placeholder(int),
            # Networks
            net=dict(name='mlp', widths=(512, 128)),
            pretraining=ConfigDict(
                dict(
                    autoencoder=dict(
                        method=dict(name='autoencoder', width=256),
                        steps=1000,
                        batch=64,
                        optim=dict(lr=1e-3),
                    ),
                    simclr=dict(
                        method=dict(name='simclr', temperature=0.2),
                        steps=5000,
                        batch=64,
                        optim=dict(lr=1e-3),
                    ),
                ),
                sort_keys=False,
            ),
            deep_embedded_clustering=dict(
                method=dict(refresh=140),
                steps=560,
                batch=128,
                optim=dict(lr=1e-4),
            ),
            # Clusters
            clusters=10,
            dim=20,  # principal components of features, in which clusters are sought
            algorithms=ConfigDict(
                dict(
                    kmeans=dict(name='kmeans'),
                    mixture=dict(name='mixture', covariance='tied'),
                    spectral=dict(name='spectral'),
                ),
                sort_keys=False,
            ),
            # algorithms that read the source themselves
            readers=ConfigDict(
                dict(
                    self_taught_clustering=dict(
                        name='self_taught_clustering', strength=1.0, feature_clusters=32
                    ),
                    transferred_discriminative_analysis=dict(
                        name='transferred_discriminative_analysis', penalty=0.1
                    ),
                ),
                sort_keys=False,
            ),
            source_examples=2000,  # that they read, drawn by the seed
            # Few labels
            labels=(1, 5),  # per class
            # Study
            seeds=tuple(range(options.first, options.first + 5)),
        ),
        sort_keys=False,
    )
    if options.smoke:
        _smoke(config)
    elif options.few:
        _few(config)
    return config.lock()


def _target(name: str) -> Config:
    """The config of a target."""
    return base.usps(size=SIZE) if name == 'usps' else dict(name='digits', size=SIZE)


def _source(name: str) -> Config:
    """The config of a source."""
    if name == 'glyphs':
        return dict(name='glyphs', part='letters', size=SIZE)
    if name == 'mnist':
        return base.mnist(size=SIZE)
    path = base.data('omniglot/omniglot_28x28.npz')
    return dict(
        name='resampled',
        of=dict(name='omniglot', path=path),
        size=SIZE,
        channels=1,
    )


def _few(config: ConfigDict) -> None:
    """Leaves the target 150 unlabelled examples, from which SimCLR learns."""
    config.target_examples = 150
    del config.pretraining['autoencoder']
    config.deep_embedded_clustering = config.readers = ConfigDict()


def _smoke(config: ConfigDict) -> None:
    """Makes the config as small as a test of it can be."""
    config.target = dict(name='digits', size=8)
    config.source = dict(name='glyphs', part='digits', size=8, per_class=10)
    config.net.widths = (8,)
    config.examples = ('validation',)
    del config.pretraining['simclr']
    del config.algorithms['mixture'], config.algorithms['spectral']
    config.pretraining.autoencoder.steps = 2
    config.deep_embedded_clustering.steps = 2
    config.source_examples = 40
    config.labels = (1,)
    config.seeds = (0, 1)
