"""Does English sentiment help where no sentence of the target language has a label? Common spaces
of two languages, through unlabelled translations: kernel CCA and latent semantic indexing.

    python -m experiments.crossview --config=configs/languages.py
    # one language
    python -m experiments.crossview --config=configs/languages.py:target=javanese
    # how the settings were chosen
    python -m experiments.crossview --config=configs/languages.py:split=validation,first=0

NusaX has the same 1,000 sentences in each language, with three sentiments. A draw takes 250 of the
500 training sentences, whose labels are known in English alone; the other 250 are pairs without
labels. Scored are the 400 test sentences of the target language. The rival `target labels` has the
labels of those 250 sentences in the target language, and `labels copied over pairs` lets an English
classifier label the pairs. Features are TF-IDF of words and of sequences of letters. The ZIP is
read from `$TLJAX_DATA`.

Expected (results/languages.md), accuracy in %, of kernel CCA, target labels, labels copied over
pairs: Indonesian 73.0, 75.3, 66.8; Javanese 71.2, 73.5, 65.7; Sundanese 70.7, 73.2, 66.5;
Minangkabau 71.9, 75.2, 66.5; Balinese 71.7, 72.4, 66.5. Two minutes of processor time.
"""

from ml_collections import ConfigDict

from configs import base

TARGETS = ('indonesian', 'javanese', 'sundanese', 'minangkabau', 'balinese')


def get_config(arg: str | None = None) -> ConfigDict:
    """Returns the locked config.

    Args:
        arg: comma-separated options after the colon of `--config`: 'target=' with a language (by
            default all), 'split=' test or validation, 'first=1000' (the first of the 5 seeds),
            'smoke'; None for the defaults.
    """
    options = base.parse_arg(
        arg, target=('', *TARGETS), split=('test', 'validation'), first=1000, smoke=False
    )
    path = base.data('nusax/nusax_senti.zip')
    targets = [options.target] if options.target else TARGETS
    config = ConfigDict(
        dict(
            commands=('crossview',),
            # task -> the data sets of source and target
            tasks=ConfigDict(
                {
                    target: {
                        side: dict(name='nusax', path=path, language=language)
                        for side, language in (('source', 'english'), ('target', target))
                    }
                    for target in targets
                },
                sort_keys=False,
            ),
            split=options.split,  # of the target, scored
            labels=250,  # of the source, and of the rival that knows the target's
            pairs=250,  # other examples, without labels; 0: no pairs
            per_class=0,  # labels of the target per class, without pairs
            words=None,  # largest number of features of texts; None: all
            letters=(3, 4),  # sequences of so many letters beside the words; (): words alone
            methods=ConfigDict(  # name -> a function of tljax.shallow
                dict(
                    lsi=dict(name='lsi', dim=100),
                    kernel_cca=dict(name='kernel_cca', dim=240, penalty=1.0, power=1.0),
                ),
                sort_keys=False,
            ),
            classifier='logistic',  # or svm
            strength=3.0,  # C of the classifier in the common space
            rival_strength=20.0,  # C of the rivals' classifier
            seeds=tuple(range(options.first, options.first + 5)),  # one draw each
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
    config.labels = 60
    config.pairs = 80
    config.methods.lsi.dim = 10
    config.methods.kernel_cca.dim = 10
    config.seeds = (0, 1)
