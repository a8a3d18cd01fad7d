"""Zero-shot recognition of characters: a network learns letters alone, and recognises handwritten
digits by descriptions of them (Larochelle, Erhan and Bengio, Zero-data learning of new tasks, 2008,
https://dl.acm.org/doi/10.5555/1620163.1620172).

    python -m experiments.zero_shot --config=configs/zero_shot.py
    # from letters of printed fonts alone
    python -m experiments.zero_shot --config=configs/zero_shot.py:printed
    # the field's features, attributes and splits: a folder of res101.mat and att_splits.mat
    python -m experiments.zero_shot --config=configs/zero_shot.py:features=FOLDER

The letters are printed capitals, and those handwritten ones of Omniglot whose small form has the
shape of the capital. A character is described by the segments that a display lights for it, or by a
drawing of it in a printed font. Digits are those of MNIST's and USPS's test sets. 0 and O, 1 and I,
5 and S, 2 and Z are classes of their own, as they are. Settings are chosen on held letters, by
networks of the seeds 0 to 3. Omniglot, MNIST and USPS are read from `$TLJAX_DATA`.

Expected (results/zero_shot.md), right answers among the ten digits in %: MNIST 46.1, USPS 49.9 with
the model that held letters choose; 10 by chance, 49.8 and 62.9 from one labelled digit of each
class. Six minutes of processor time.
"""

from ml_collections import ConfigDict

from configs import base
from tljax.protocols import Config


def get_config(arg: str | None = None) -> ConfigDict:
    """Returns the locked config.

    Args:
        arg: comma-separated options after the colon of `--config`: 'printed' (no handwritten
            letters), 'features=FOLDER' (the field's features in place of characters), 'first=1000'
            (the first of the 5 seeds), 'smoke'; None for the defaults.
    """
    options = base.parse_arg(arg, printed=False, features='', first=1000, smoke=False)
    omniglot = '' if options.printed else base.data('omniglot/omniglot_28x28.npz')
    config = ConfigDict(
        dict(
            commands=('zero_shot',),
            data=dict(name='letters', path=omniglot, size=16),  # the seen classes
            # name -> a set of unseen classes
            targets=ConfigDict(
                dict(mnist=_framed(base.mnist(), 28), usps=_framed(base.usps(), 16)),
                sort_keys=False,
            ),
            # of the network of the seen classes: settings of a fit
            fit=dict(
                net=dict(name='conv4', width=(32, 64), blocks=2, size=16, norm='layer'),
                steps=300,
                batch=64,
                optim=dict(lr=2e-3),
            ),
            # name -> a knowledge base that lists the seen and the unseen classes
            knowledge=ConfigDict(
                dict(
                    segments=dict(name='segments'),
                    renderings=dict(name='renderings', size=7),
                ),
                sort_keys=False,
            ),
            methods=ConfigDict(_methods(), sort_keys=False),  # name -> setting -> values to try
            folds=4,  # of the seen classes, by which settings are chosen
            shots=(1, 5),  # labelled examples of each unseen class that rivals have
            draws=20,  # of those examples, for every seed
            seeds=tuple(range(options.first, options.first + 5)),  # one network each
        ),
        sort_keys=False,
    )
    if options.features:
        _published(config, options.features)
    if options.smoke:
        _smoke(config)
    return config.lock()


def _framed(digits: Config, size: int) -> Config:
    """Digits cropped to their ink, as letters are; at most 3,000 of each split."""
    some = dict(name='resampled', of=digits, size=size, channels=1, most=3000)
    return dict(name='framed', of=some, size=16)


def _methods() -> Config:
    """Every method with the values of its settings among which held classes choose."""
    rates = (3e-3, 1e-2, 3e-2)
    return dict(
        dap=dict(penalty=(0.1, 1.0, 10.0)),
        iap=dict(),
        conse=dict(top=(1, 3, 10)),
        eszsl=dict(gamma=(1e-4, 1e-3, 1e-2, 0.1), penalty=(0.01, 0.1, 1.0, 10.0)),
        sae=dict(weight=(0.01, 0.1, 1.0, 10.0), by=('encoded', 'decoded'), centred=(False, True)),
        devise=dict(rate=rates),
        sje=dict(rate=rates),
        ale=dict(rate=rates),
    )


def _published(config: ConfigDict, folder: str) -> None:
    """Takes the field's features, attributes and splits; a linear classifier is the network."""
    config.data = dict(name='proposed_split', path=folder, part='seen')
    config.targets = dict(unseen=dict(name='proposed_split', path=folder, part='unseen'))
    config.knowledge = dict(attributes=dict(name='attributes', path=f'{folder}/att_splits.mat'))
    config.fit = dict(
        net=dict(name='identity', dim=2048), steps=2000, batch=64, optim=dict(lr=1e-3)
    )
    config.shots = ()  # all examples of unseen classes are for the test


def _smoke(config: ConfigDict) -> None:
    """Makes the config as small as a test of it can be."""
    config.data = dict(name='letters', size=8, per_class=10)
    config.targets = dict(digits=dict(name='framed', of=dict(name='digits', size=8), size=8))
    config.fit = dict(net=dict(name='mlp', widths=(8,)), steps=4, batch=16, optim=dict(lr=1e-2))
    config.methods = dict(
        dap=dict(penalty=(1.0,)), conse=dict(top=(1, 3)), ale=dict(rate=(0.1,), steps=(4,))
    )
    config.folds = 2
    config.shots = (1,)
    config.draws = 2
    config.seeds = (10, 11, 12)
