"""Domain adaptation from photographs to drawings and back: PACS, 12 tasks, on features of an ImageNet network.

    python -m experiments.shallow --config=configs/pacs_shallow.py
    python -m experiments.shallow --config=configs/pacs_shallow.py --config.net.name=resnet50 --config.weights=imagenet

Features of MobileNet (alpha 0.25, 112 pixels) with its ImageNet weights, extracted once, rows of unit length; all pictures of a domain are
its source, and its target. The ZIP and the weights are looked for under `$TLJAX_DATA`.

Expected (RESULTS.md): source only 42.9 on average, subspace alignment 46.2; 44 of 156 gains are negative.
"""
from configs import base


def get_config(arg=None):
    arg = base.parse_arg(arg, smoke=False)
    config = base.shallow()
    with config.unlocked():
        path = base.data('pacs/pacs_112.zip')
        config.domains = {name: dict(name='folder', path=path, domain=name, size=112)
                          for name in ('photo', 'art_painting', 'cartoon', 'sketch')}
        config.net = dict(name='mobilenet', alpha=.25)
        config.weights = base.data('imagenet_weights/mobilenet_2_5_224_tf_no_top.h5')
        config.scale = 'unit'
        config.methods = base.shallow_methods(classifier='logistic')
        if arg.smoke:
            base.few_rows(config)
    return config
