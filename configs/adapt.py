"""Deep domain adaptation: labels in the source, none in the target.

    python -m experiments.compare --config=configs/adapt.py                              (printed to handwritten digits, no download)
    python -m experiments.compare --config=configs/adapt.py:data=mnist-usps              (usps-mnist, mnist-mnist_m)
    python -m experiments.compare --config=configs/adapt.py:data=photo-sketch,method=dann+cdan      (PACS: any two of its domains)
    python -m experiments.compare --config=configs/adapt.py:data=photo-sketch,finetune   (the whole network, pictures of 64 pixels)
    python -m experiments.train --config=configs/adapt.py:train=cdan,data=usps-mnist     (one method, without a study)

Every method, or those that `method` joins by +, beside a network trained on the source alone, with the same network, steps and batches.
`source_only` is that network; ADDA and SHOT, which begin from it, train on for as many steps again; MCD's players take six turns where
others take a step, as its paper counts. PACS: one layer on fixed features of MobileNet (alpha 0.25, 112 pixels, ImageNet weights). Data are
looked for under `$TLJAX_DATA`.

Hyper-parameters: weights are the papers' or peers' defaults. What BUDGETS says, the dropout, the layer that the critic sees and `by_domain`
were chosen for mnist-usps and mnist-mnist_m by accuracy on the target's training pictures, with a seed that no study has: with their
labels, as is usual in this field; DANN's rate on mnist-mnist_m by its accuracy on the source's validation. RESULTS.md tells what was
tried, and on which pairs the test was seen while that was done. Expected: there.
"""
import itertools

from configs import base

METHODS = ('dann', 'domain_confusion', 'cdan', 'adda', 'mcd', 'ddc', 'dan', 'jan', 'deep_coral', 'cmd', 'adabn', 'self_training', 'shot')
DIGITS = ('glyphs-digits', 'mnist-usps', 'usps-mnist', 'mnist-mnist_m')
BUDGETS = {'mnist-usps': (6000, 4e-3), 'usps-mnist': (3000, 1e-3), 'mnist-mnist_m': (10_000, 4e-3)}   # steps, rate
PACS = tuple(f'{source}-{target}' for source, target in itertools.permutations(('photo', 'art_painting', 'cartoon', 'sketch'), 2))
MOBILENET = dict(name='mobilenet', alpha=.25)
WEIGHTS = 'imagenet_weights/mobilenet_2_5_224_tf_no_top.h5'
BEGUN = dict(path='', phase='source', rules=(('.*', None),))   # from the network that knows the source


def get_config(arg=None):
    arg = base.parse_arg(arg, data=(*DIGITS, *PACS), method='all', train=('', *METHODS), finetune=False, smoke=False)
    asked = METHODS if arg.method == 'all' else arg.method.split('+')
    if unknown := [name for name in asked if name not in METHODS]:
        raise ValueError(f'config argument method={unknown[0]} is not one of {", ".join(METHODS)}, several joined by +')
    config = base.get_config()
    with config.unlocked():
        config.commands = ('compare', 'train')
        source, target = arg.data.split('-')
        sets, config.net = _data(arg.data, arg.finetune)
        config.seeds = tuple(range(5))
        config.batch, config.log_every = 32, 300
        config.steps, config.optim.lr = BUDGETS.get(arg.data, (1000, 1e-3))
        if arg.data in PACS:
            config.batch = 64
            if arg.finetune:
                config.seeds, config.init.path, config.groups.backbone = tuple(range(3)), base.data(WEIGHTS), dict(scale=.1)
        config.data = dict(name='domains', source=sets[source], target=sets[target])
        alone = sets[target]
        if arg.data in PACS and not arg.finetune:
            config.data, alone = (dict(name='extracted', of=of, net=MOBILENET, weights=base.data(WEIGHTS)) for of in (config.data, alone))
        ramp = config.get_ref('steps')
        strategies = _strategies(alone, ramp)
        by_domain = config.net.name == 'by_domain'
        if arg.data in BUDGETS:   # MCD's generator is the convolutions, its heads have the dense layers, as in its paper
            strategies['mcd']['net'] = dict(of=dict(dense=())) if by_domain else dict(dense=())
            strategies['mcd']['method']['widths'] = config.net.get('of', config.net).dense
        if arg.data == 'mnist-mnist_m':   # the critic looks at the convolutions, as in the paper's figure 4; at 4e-3 a seed lost the source
            strategies['dann']['method']['layer'] = 'block2'
            strategies['dann']['optim'] = dict(lr=2e-3)
        single = dict(net=dict(domains=1)) if by_domain else {}
        for name in ('source_only', 'adabn', 'adda', 'shot'):   # no batch of theirs has two domains
            strategies[name].update(single)
        if not arg.train or 'init' in strategies[arg.train]:
            config.phases.source = single
        config.phases.adapt = strategies[arg.train] if arg.train else {}
        config.study.baseline, config.study.budgets = 'source_only', (None,)
        if not arg.train:
            for name in ('source_only', *(('dann', 'adda', 'shot') if arg.smoke and arg.method == 'all' else asked)):
                config.study.strategies[name] = strategies[name]
        if arg.smoke:
            config.seeds, config.steps, config.batch, config.net.width = (0, 1), 2, 8, (4, 4, 4)
    return config


def _strategies(target, ramp):
    plain = {name: dict(method=dict(name=name)) for name in ('adabn', 'mcd')}
    rising = {name: dict(method=dict(name=name, ramp=ramp)) for name in METHODS if name not in ('adabn', 'adda', 'mcd', 'shot')}
    turns = dict(backbone=dict(period=6, phase=(0, 2, 3, 4, 5)), head=dict(period=6, phase=(0, 1)), second=dict(period=6, phase=(0, 1)))
    plain['mcd'].update(steps=6 * ramp, groups=turns)
    rising['cdan']['method']['width'] = 500
    begun = dict(
        source_only=dict(steps=0, init=BEGUN),
        adda=dict(method=dict(name='adda'), optim=dict(lr=2e-4),
                  init={**BEGUN, 'rules': (('source/(.*)', r'backbone/\1'), ('(backbone|head)/.*', None))}),
        shot=dict(method=dict(name='shot'), data=target, pseudo=dict(name='centroids'), init=BEGUN))
    return {'source_only': begun['source_only'], **{name: {**plain, **rising, **begun}[name] for name in METHODS}}


def _data(pair, finetune):
    """The configs of the sets by name, and of the network."""
    if pair == 'glyphs-digits':
        return (dict(glyphs=dict(name='glyphs', part='digits', size=16, resolution=8, per_class=200), digits=dict(name='digits')),
                dict(name='conv4', width=(32, 64, 128), blocks=3, size=16))
    if pair in PACS:
        pictures = dict(name='folder', path=base.data('pacs/pacs_112.zip'))
        if finetune:
            return {name: dict(pictures, domain=name, size=64) for name in pair.split('-')}, dict(MOBILENET, momentum=.9)
        return ({name: dict(pictures, domain=name, size=112) for name in pair.split('-')}, dict(name='mlp', widths=(256,), norm='batch'))
    colour = 3 if pair.endswith('mnist_m') else 1
    mnist = dict(name='mnist', path=base.data('mnist/raw'), channels=colour)
    layers = dict(widths=(32, 48), dense=(100, 100)) if colour == 3 else dict(dense=(500,))
    network = dict(name='lenet', norm='batch', dropout=.5, **layers)
    return (dict(mnist=mnist, usps=dict(name='usps', path=base.data('usps/usps.h5'), size=28),
                 mnist_m=dict(name='mnist_m', path=base.data('mnist_m/mnist_m_test.zip'), mnist=base.data('mnist/raw'),
                              photographs=base.data('bsds_patches_source'))),
            dict(network, form='plain') if pair == 'usps-mnist' else dict(name='by_domain', of=network, form='plain'))
