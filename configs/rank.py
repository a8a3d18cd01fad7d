"""Which source should one transfer from? Every source's features of the target, scored before anything is trained.

    python -m experiments.rank --config=configs/rank.py                     (nothing to download)
    python -m experiments.rank --config=configs/rank.py --verify            (trains every source on the target; who was right?)
    python -m experiments.rank --config=configs/rank.py:pool --verify       (16 sources, 8 targets: MNIST to PACS)

The target is scikit-learn's handwritten digits; sources are Conv4s that learnt printed letters, printed digits, shuffled letters and
nothing, and are trained first. A source of your own is a line in `study.sources`: dict(run='runs/mine') is a finished run,
dict(net=dict(name='resnet50'), weights='imagenet') a network with published weights, dict(features='mine.npz') what any other program
extracted.

Scores look at the labelled examples that training would see (20 per class, a subset for each seed); training takes the same. `pool`
wants its files under `$TLJAX_DATA`. `probe` is the source whose network embeds the tasks (Task2Vec), `controls` are sources that should
not help, `most` the examples of a split that are looked at, `top1` of a source is its accuracy on ImageNet, told beside the scores.

Steps, batch and rate are those of configs/pacs.py, a head on frozen features has ten times the rate. Expected (RESULTS.md): five scores
order the default's four sources as training does, letters first; over the pool LogME's mean weighted tau is 0.83 frozen, 0.79 fine-tuned.
"""
from configs import base

DOMAINS = ('photo', 'art_painting', 'cartoon', 'sketch')


def get_config(arg=None):
    arg = base.parse_arg(arg, pool=False, smoke=False)
    config = base.get_config()
    with config.unlocked():
        config.commands = ('rank', 'advise')
        config.seeds = tuple(range(3))
        config.steps, config.batch = 150, 16
        config.net = dict(name='conv4', width=(32, 64, 64, 128), size=28, norm='layer')
        config.study.update(dict(baseline='scratch', budgets=(20,), most=1000, targets={}, sources={}, controls=('shuffled', 'untrained'),
                                 probe='letters'))
        config.study.strategies.scratch = dict(init=dict(path=''))
        config.study.strategies.frozen = dict(partition=dict(name='freeze', until='backbone'), optim=dict(lr=1e-2))
        config.study.strategies.finetune = dict(statistics='stored', groups=dict(backbone=dict(scale=.1)))
        _letters(config.study, size=28)
        config.study.targets.digits = dict(name='digits', size=28)
        if arg.pool:
            _pool(config)
        if arg.smoke:
            config.seeds, config.steps, config.study.budgets, config.study.most = (0, 1), 2, (2,), 60
            config.net = dict(name='conv4', width=4, size=16)
            config.study.sources = dict(printed=dict(data=dict(name='glyphs', part='digits', size=16, per_class=10), steps=2))
            config.study.sources.untrained = dict(data=dict(name='glyphs', part='digits', size=16, per_class=10), steps=0)
            config.study.targets, config.study.probe = dict(digits=dict(name='digits', size=8)), 'printed'
    return config


def _letters(study, size):
    letters = dict(data=dict(name='glyphs', size=size, classes=600, per_class=40), steps=2000, batch=64)
    study.sources.letters = dict(letters, optim=dict(lr=2e-3, warmup=200, clip=1.))
    study.sources.shuffled = dict(letters, optim=dict(lr=5e-4, warmup=200, clip=1.), shuffled=True)
    study.sources.untrained = dict(letters, steps=0)
    printed = dict(name='glyphs', part='digits', size=size, per_class=400)
    study.sources.printed_digits = dict(data=printed, steps=1000, batch=64, optim=dict(lr=2e-3, warmup=100, clip=1.))


def _pool(config):
    study = config.study
    grey, weights = dict(name='resampled', size=28, channels=1), base.data('imagenet_weights/mobilenet_2_5_224_tf.h5')
    study.most = 1500
    study.targets.update(
        mnist=dict(name='mnist', path=base.data('mnist/raw')), usps=dict(name='usps', path=base.data('usps/usps.h5')),
        mnist_m=dict(name='mnist_m', path=base.data('mnist_m/mnist_m_test.zip'), mnist=base.data('mnist/raw'),
                     photographs=base.data('bsds_patches_source')),
        **{name: dict(name='folder', path=base.data('pacs/pacs_112.zip'), domain=name, size=112) for name in DOMAINS})
    learnt = dict(steps=1000, batch=64, optim=dict(lr=2e-3, warmup=100, clip=1.))
    for name in ('mnist', 'usps', 'mnist_m', *DOMAINS):
        study.sources[name] = dict(learnt, data=dict(grey, of=study.targets[name]))
    characters = dict(name='more_classes', of=base.characters('omniglot'), first=964, further=(), held=.1)
    study.sources.omniglot = dict(learnt, data=characters, steps=2000)
    mobilenet = dict(name='mobilenet', alpha=.25, momentum=.9)
    study.sources.imagenet = dict(net=mobilenet, weights=weights, size=64)
    for tap in ('block3', 'block5', 'block11'):
        study.sources[f'imagenet_{tap}'] = dict(net=dict(name='truncated', of=mobilenet, tap=tap), weights=weights, size=64)
