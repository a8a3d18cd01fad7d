"""Do labelled pictures in other features help where there are no pairs? From hand-made features
(HOG) to those of a network, by three labels a class: heterogeneous feature augmentation (HFA).

    python -m experiments.crossview --config=configs/by_labels.py
    # one domain of PACS
    python -m experiments.crossview --config=configs/by_labels.py:data=sketch

The source has the HOG of all training pictures of a domain of PACS, with their labels, save those
that are labelled in the target. The target has the features of MobileNet (alpha 0.25, 112 pixels)
with its ImageNet weights, and three labelled pictures of each class. Scored are the test pictures.
The rival `target labels` is a support vector machine with the same loss. Data and weights are read
from `$TLJAX_DATA`; HOG needs scikit-image (`pip install 'tljax[handmade]'`).

Expected (results/languages.md), 20 draws: HFA over target labels alone +0.7, +0.5, 0.0 and -0.5
points on photographs, paintings, cartoons and sketches, none of which is told from 0.
"""

from ml_collections import ConfigDict

from configs import base


def get_config(arg: str | None = None) -> ConfigDict:
    """Returns the locked config.

    Args:
        arg: comma-separated options after the colon of `--config`: 'data=' with a domain of PACS
            (by default all), 'split=' test or validation, 'first=1000' (the first of the 20 seeds),
            'smoke'; None for the defaults.
    """
    options = base.parse_arg(
        arg, data=('', *base.PACS), split=('test', 'validation'), first=1000, smoke=False
    )
    domains = [options.data] if options.data else base.PACS
    config = ConfigDict(
        dict(
            commands=('crossview',),
            # task -> the data sets of source and target
            tasks=ConfigDict(
                {
                    domain: dict(
                        source=dict(name='handmade_hog', of=base.pacs(domain), cell=28),
                        target=dict(
                            name='extracted',
                            of=base.pacs(domain),
                            net=base.mobilenet(),
                            weights=base.mobilenet_weights(),
                        ),
                    )
                    for domain in domains
                },
                sort_keys=False,
            ),
            split=options.split,  # of the target, scored
            labels=0,  # of the source, where there are pairs; without pairs all of them
            pairs=0,  # examples without labels that both spaces have; 0: no pairs
            per_class=3,  # labels of the target per class
            words=None,  # largest number of features of texts; None: all
            letters=(),  # sequences of so many letters beside the words; (): words alone
            methods=ConfigDict(  # name -> a function of tljax.shallow
                dict(hfa=dict(name='hfa', own=0.03, common=0.2, rounds=300)), sort_keys=False
            ),
            classifier='svm',  # or logistic
            strength=1.0,  # C of the classifier in the common space of methods that have one
            rival_strength=0.01,  # C of the rivals' classifier
            seeds=tuple(range(options.first, options.first + 20)),  # one draw each
        ),
        sort_keys=False,
    )
    if options.smoke:
        _smoke(config)
    return config.lock()


def _smoke(config: ConfigDict) -> None:
    """Makes the config as small as a test of it can be."""
    config.tasks = {
        'sizes': dict(source=dict(name='digits', size=8), target=dict(name='digits', size=4))
    }
    config.per_class = 1
    config.methods.hfa.rounds = 20
    config.seeds = (0, 1)
