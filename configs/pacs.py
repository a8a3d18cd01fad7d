"""Do ImageNet weights help to recognise drawings and paintings, with how few labels, and where do
they hurt?

    python -m experiments.compare --config=configs/pacs.py:domain=sketch
    # also art_painting, cartoon
    python -m experiments.compare --config=configs/pacs.py:domain=photo
    # a source with 20 times as many parameters, which recognises ImageNet better
    python -m experiments.compare --config=configs/pacs.py:net=lite0

The source is MobileNet (alpha 0.25) trained on ImageNet, or EfficientNet-Lite0. The target is one
domain of PACS (Li et al. 2017, https://arxiv.org/abs/1710.03077): seven classes, 112x112 pixels.
The files are read from `$TLJAX_DATA`; --config.init.path and --config.data.path take other files.

Hyper-parameters are ours. They were chosen on the validation split of sketch, never on test labels.

Expected (RESULTS.md), fine-tuning against scratch at 5 labels per class: photo 79 against 22 %,
art_painting 51 against 17 %, cartoon 61 against 19 %, sketch 58 against 17 %; 3 minutes each on 2
cores. Fine-tuning EfficientNet-Lite0: 92, 62, 63 and 57 %; 10 minutes each.
"""

from ml_collections import ConfigDict

from configs import base


def get_config(arg: str | None = None) -> ConfigDict:
    """Returns the locked config.

    Args:
        arg: comma-separated options after the colon of `--config`: 'domain=sketch' (also photo,
            art_painting, cartoon), 'net=lite0' (default mobilenet), 'smoke'; None for the defaults.
    """
    options = base.parse_arg(
        arg,
        domain=('sketch', 'photo', 'art_painting', 'cartoon'),
        net=('mobilenet', 'lite0'),
        smoke=False,
    )
    config = base.get_config()
    with config.unlocked():
        config.commands = ('compare', 'train')

        # Data
        config.data = base.pacs(options.domain)

        # Network
        config.net = base.mobilenet(momentum=0.9)
        config.init.path = base.mobilenet_weights()
        if options.net == 'lite0':
            config.net = base.lite0(momentum=0.9)
            config.init.path = base.lite0_weights()

        # Training
        config.seeds = tuple(range(4))
        config.steps = 150
        config.batch = 16
        config.optim.lr = 1e-3

        # Study
        config.study.budgets = (1, 5, 20)
        config.study.strategies.update(base.strategies())
        if options.smoke:
            config.data = dict(name='glyphs', size=8, classes=4, per_class=10)
            config.net = base.smallest()
            config.init.path = ''
            config.seeds = (0, 1)
            config.steps = 2
            config.study.budgets = (1,)
    return config
