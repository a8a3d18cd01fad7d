"""Do posts about other topics help to tell posts apart of which few have labels? TrAdaBoost on
newsgroups (Dai et al. 2007, section 4), and on spam in text messages.

    python -m experiments.instances --config=configs/newsgroups.py
    # one pair, and a fifth of the source's labels are wrong
    python -m experiments.instances --config=configs/newsgroups.py:pair=rec-talk,flipped=.2
    # spam in text messages
    python -m experiments.instances --config=configs/newsgroups.py:spam

The two classes of a pair are made of several newsgroups each, and source and target have different
groups of the same class. mini_newsgroups has 100 posts of each group. `:spam` has two tasks: in
`calls-others` spam that asks for a call helps to find other spam; in `offers-messages` the source
is another corpus, posts to newsgroups, whose offers of things for sale stand for spam. The ZIP and
the file of messages are read from `$TLJAX_DATA`.

Expected (results/instances.md), error in % with 40 labels: rec-talk 10.2 from the target alone,
11.4 pooled, 7.4 with balanced weights and by TrAdaBoost; with a fifth of the source's labels wrong
10.2, 12.9, 8.5 and 7.8. Spam, calls-others: 8.0, 5.4, 3.8 and 3.8. A minute of processor time, two
with all pairs.
"""

from ml_collections import ConfigDict

from configs import base
from tljax.protocols import Config

PAIRS = {  # pair: groups of the source, groups of the target
    'rec-talk': (
        dict(
            rec=('rec.autos', 'rec.motorcycles'),
            talk=('talk.politics.guns', 'talk.politics.misc'),
        ),
        dict(
            rec=('rec.sport.baseball', 'rec.sport.hockey'),
            talk=('talk.politics.mideast', 'talk.religion.misc'),
        ),
    ),
    'rec-sci': (
        dict(rec=('rec.autos', 'rec.sport.baseball'), sci=('sci.med', 'sci.space')),
        dict(rec=('rec.motorcycles', 'rec.sport.hockey'), sci=('sci.crypt', 'sci.electronics')),
    ),
    'sci-talk': (
        dict(
            sci=('sci.electronics', 'sci.med'),
            talk=('talk.politics.misc', 'talk.religion.misc'),
        ),
        dict(
            sci=('sci.crypt', 'sci.space'),
            talk=('talk.politics.guns', 'talk.politics.mideast'),
        ),
    ),
    'comp-talk': (
        dict(
            comp=('comp.graphics', 'comp.sys.mac.hardware', 'comp.windows.x'),
            talk=('talk.politics.mideast', 'talk.religion.misc'),
        ),
        dict(
            comp=('comp.os.ms-windows.misc', 'comp.sys.ibm.pc.hardware'),
            talk=('talk.politics.guns', 'talk.politics.misc'),
        ),
    ),
}

OFFERS = dict(
    ham=(
        'rec.autos',
        'rec.motorcycles',
        'rec.sport.baseball',
        'rec.sport.hockey',
        'soc.religion.christian',
    ),
    spam=('misc.forsale',),
)


def get_config(arg: str | None = None) -> ConfigDict:
    """Returns the locked config.

    Args:
        arg: comma-separated options after the colon of `--config`: 'pair=' with one of PAIRS (by
            default all), 'labels=40' (by default 12 and 40), 'flipped=.2' (share of the source's
            labels that are made wrong), 'spam', 'first=1000' (the first of the 30 seeds), 'smoke';
            None for the defaults.
    """
    options = base.parse_arg(
        arg, pair=('', *PAIRS), labels=0, flipped=0.0, spam=False, first=1000, smoke=False
    )
    if options.spam and options.pair:
        raise ValueError(
            f'config argument pair={options.pair} is no pair of spam: give one of both'
        )
    config = ConfigDict(
        dict(
            commands=('instances',),
            # task -> the data sets of source and target
            tasks=ConfigDict(_spam() if options.spam else _posts(options.pair), sort_keys=False),
            labels=(options.labels,) if options.labels else (12, 40),  # of the target, in all
            flipped=(options.flipped,),  # shares of the source's labels that are made wrong
            words=2000,  # of the vocabulary, the most frequent ones
            learner='naive_bayes',  # or logistic, svm, stump
            rounds=10,  # of boosting
            start='balanced',  # weights of the first round, or uniform
            seeds=tuple(range(options.first, options.first + 30)),  # one draw each
        ),
        sort_keys=False,
    )
    if options.smoke:
        _smoke(config)
    return config.lock()


def _posts(pair: str) -> Config:
    """The tasks of newsgroups: one pair, or all of them."""
    path = base.data('mini_newsgroups/mini_newsgroups.zip')
    return {
        name: {
            side: dict(name='newsgroups', path=path, classes=classes)
            for side, classes in zip(('source', 'target'), PAIRS[name], strict=True)
        }
        for name in ([pair] if pair else PAIRS)
    }


def _spam() -> Config:
    """The tasks of text messages. Spam that asks for a call helps to find other spam, and posts
    that offer things for sale, in place of spam, help to find spam in another corpus."""
    path = base.data('sms_spam/SMSSpamCollection')
    posts = dict(
        name='newsgroups', path=base.data('mini_newsgroups/mini_newsgroups.zip'), classes=OFFERS
    )
    return {
        'calls-others': dict(
            source=dict(name='sms_spam', path=path, part='calls'),
            target=dict(name='sms_spam', path=path, part='others'),
        ),
        'offers-messages': dict(source=posts, target=dict(name='sms_spam', path=path)),
    }


def _smoke(config: ConfigDict) -> None:
    """Makes the config as small as a test of it can be."""
    config.tasks = {
        'printed-handwritten': dict(
            source=dict(name='glyphs', part='digits', size=8, per_class=10),
            target=dict(name='digits', size=8),
        )
    }
    config.labels = (20,)
    config.flipped = (0.0, 0.2)
    config.rounds = 3
    config.seeds = (0, 1)
