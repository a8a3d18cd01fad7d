"""Do better ImageNet models transfer better? (Kornblith, Shlens and Le 2019, https://arxiv.org/abs/1805.08974)

    python -m experiments.rank --config=configs/imagenet_models.py --verify          (18 networks, whose weights are fetched: for a cluster)
    python -m experiments.rank --config=configs/imagenet_models.py:sizes --verify    (MobileNet at four picture sizes)

Networks x data sets x fixed features, fine-tuned, and from scratch. The score to judge is `imagenet_top1`, beside those that look at the
target: its weighted Kendall tau with the accuracy on the target tells how well the order on ImageNet foretells the order there. For the
networks it is what Keras publishes; for `sizes`, where one set of weights sees smaller and smaller pictures, what 500 ImageNet photographs
gave (`experiments.evaluate --size=96`). Targets are the four domains of PACS, looked for under `$TLJAX_DATA`.

The rates are those of configs/rank.py; `sizes` takes 100 steps of 16, the 18 networks 5,000 of 64 on all labels. Expected (RESULTS.md):
`sizes` is in ImageNet's order on all four targets, tau 1; published over 16 networks and 12 data sets: r = .99 fixed, .96 fine-tuned.
"""
from configs import base

NETWORKS = ('xception', 'vgg16', 'vgg19', 'resnet50', 'resnet101', 'resnet152', 'resnet50v2', 'resnet101v2', 'resnet152v2',
            'inception_v3', 'inception_resnet_v2', 'mobilenet', 'mobilenet_v2', 'densenet121', 'densenet169', 'densenet201',
            'nasnet_mobile', 'nasnet_large')
SIZES = {48: .004, 64: .056, 96: .220, 128: .386}   # top-1 of MobileNet, alpha .25, on 500 photographs; at 224: .552


def get_config(arg=None):
    arg = base.parse_arg(arg, sizes=False, smoke=False)
    config = base.get_config()
    with config.unlocked():
        config.commands = ('rank', 'advise')
        config.seeds, config.steps, config.batch = tuple(range(3)), 5000, 64
        config.net = dict(name='conv4')   # no source is trained here: every one brings its network
        config.study.update(dict(baseline='scratch', budgets=(None,), most=None, targets={}, sources={}, controls=(), probe=''))
        config.study.strategies.scratch = dict(init=dict(path=''), optim=dict(warmup=200))
        config.study.strategies.frozen = dict(partition=dict(name='freeze', until='backbone'), optim=dict(lr=1e-2))
        config.study.strategies.finetune = dict(statistics='stored', groups=dict(backbone=dict(scale=.1)))
        for domain in ('photo', 'art_painting', 'cartoon', 'sketch'):
            config.study.targets[domain] = dict(name='folder', path=base.data('pacs/pacs_112.zip'), domain=domain, size=112)
        for name in NETWORKS:
            config.study.sources[name] = dict(net=dict(name=name), weights='imagenet')
        if arg.sizes or arg.smoke:
            config.steps, config.batch, config.study.budgets, config.study.most = 100, 16, (20,), 1500
            config.study.strategies.scratch.optim.warmup = 0
            weights, net = base.data('imagenet_weights/mobilenet_2_5_224_tf.h5'), dict(name='mobilenet', alpha=.25, momentum=.9)
            config.study.sources = {f'pixels{size}': dict(net=net, weights=weights, size=size, top1=top1) for size, top1 in SIZES.items()}
        if arg.smoke:   # no weights: three small networks
            config.seeds, config.steps, config.study.budgets, config.study.most = (0, 1), 1, (2,), 60
            config.net, digits = dict(name='conv4', width=4, size=16), dict(name='glyphs', part='digits', size=16, per_class=10)
            config.study.targets = dict(digits=dict(name='digits', size=8))
            config.study.sources = {f'steps{steps}': dict(data=digits, steps=steps, top1=steps / 10) for steps in (0, 1, 2)}
    return config
