"""Detection: what do a classifier's or a detector's weights give to a detector of other objects?

    # printed digits on scenes, no download
    python -m experiments.train   --config=configs/detection.py
    # blood cells (BCCD): from scratch and from ImageNet weights, with 20, 72 and all pictures
    python -m experiments.compare --config=configs/detection.py:data=bccd
    # the same from a detector trained on COCO, and what it costs to freeze its first blocks
    python -m experiments.compare --config=configs/detection.py:data=bccd,net=ssdlite
    python -m experiments.compare --config=configs/detection.py:data=bccd,net=frozen
    # your own pictures with boxes, in the form of VOC, COCO, YOLO or a table
    python -m experiments.train   --config=configs/detection.py:data=FOLDER

`small` is MobileNet (alpha 0.25) at 160 pixels, whose maps have strides of 8, 16 and 32, with two
extra layers; it starts from ImageNet weights. `ssdlite` is SSDLite with MobileNetV2 at 300 pixels,
the row ssdlite_mobilenet_v2 of the detection zoo; it starts from weights for COCO's 90 classes.
Results of the two are not compared with each other, as size and network differ. Weights and
BCCD (https://github.com/Shenggan/BCCD_Dataset) are read from `$TLJAX_DATA`.

Training and validation pictures of BCCD are trained on together, 292, and 72 are for the test.
`:choose` keeps them apart, so that settings can be chosen.

Expected (results/detection.md), blood cells, AP with 20 and with all pictures: `small` 22.2 and
24.4 % from scratch, 42.8 and 47.1 % from ImageNet's weights; `ssdlite` 28.8 and 31.2 % from
scratch, 33.2 and 33.2 % from COCO's backbone, 35.3 and 36.1 % from COCO's detector;
`frozen`, with 20, 40.0 % instead of 35.3 %.
"""

from ml_collections import ConfigDict

from configs import base

COCO = 'detection_weights/ssdlite_mobilenet_v2_coco'
SCENES = dict(
    name='scenes',
    of=dict(name='glyphs', part='digits', size=32, per_class=60),
    size=96,
    count=400,
)


def get_config(arg: str | None = None) -> ConfigDict:
    """Returns the locked config.

    Args:
        arg: comma-separated options after the colon of `--config`: 'data=bccd' or 'data=FOLDER'
            (default scenes), 'net=ssdlite' or 'net=frozen' (default small), 'choose', 'first=1000'
            (the first of the seeds), 'smoke'; None for the defaults.
    """
    options = base.parse_arg(
        arg,
        data='scenes',
        net=('small', 'ssdlite', 'frozen'),
        choose=False,
        first=1000,
        smoke=False,
    )
    config = base.get_config()
    with config.unlocked():
        config.commands = ('train', 'compare')

        # Data
        size = 160 if options.net == 'small' else 300
        if options.data == 'scenes':
            config.data = SCENES
        else:
            is_bccd = options.data == 'bccd'
            config.data = dict(
                name='boxes',
                path=base.data('bccd/bccd.zip') if is_bccd else options.data,
                size=size,
                joined=is_bccd and not options.choose,
            )
            if options.net != 'small':
                config.data.interpolation = 'legacy'
        config.augment = ('flip_boxes', 'ssd_crop')

        # Training
        config.seeds = tuple(range(options.first, options.first + 4))
        config.steps = 700
        config.batch = 16
        config.optim.lr = 2e-3
        config.optim.warmup = 50

        # Study
        config.study.baseline = 'scratch'
        config.study.budgets = (20, 72, None)
        dict(small=_small, ssdlite=_ssdlite, frozen=_frozen)[options.net](config)
        if options.smoke:
            _smoke(config)
    return config


def _small(config: ConfigDict) -> None:
    """MobileNet (alpha 0.25), from scratch and from ImageNet weights."""
    config.net = dict(
        name='with_extras',
        of=base.mobilenet(momentum=0.9),
        maps=('block5', 'block11', 'block13'),
        widths=(128, 128),
        momentum=0.9,
    )
    config.method = dict(
        name='single_shot',
        anchors=dict(name='ssd', lowest=0.1, highest=0.9, reduced=False),
        predictor=dict(name='by_map', kernel=3, bias=-4.6, deviation=0.01),
        criterion=dict(name='focal', alpha=0.75),
    )
    config.init.path = base.mobilenet_weights()
    config.init.rules = (('backbone/(?!extras/).*', None),)
    config.study.strategies = dict(scratch=dict(init=dict(path='')), imagenet=dict())


def _ssdlite(config: ConfigDict) -> None:
    """SSDLite with MobileNetV2, from scratch, from COCO's backbone, and from COCO's detector."""
    config.net = dict(
        name='with_extras',
        of=dict(name='mobilenet_v2', momentum=0.9),
        maps=('block13_expand', 'conv2'),
        depthwise=True,
        momentum=0.9,
    )
    config.method = dict(
        name='single_shot',
        anchors=dict(name='ssd'),
        predictor=dict(name='by_map', depthwise=True, momentum=0.9),
        criterion=dict(name='mined', fewest=3),
    )
    config.init.path = base.data(COCO)
    config.batch = 8
    config.seeds = config.seeds[:2]
    config.steps = 200
    config.study.strategies = dict(
        scratch=dict(init=dict(path=''), steps=400),
        backbone=dict(init=dict(rules=(('backbone/(?!extras/).*', None),))),
        detector=dict(init=dict(rules=(('(?!head/class/).*', None),))),
    )


def _frozen(config: ConfigDict) -> None:
    """SSDLite from COCO's detector, trained as a whole or from its twelfth block on."""
    _ssdlite(config)
    detector = config.study.strategies.detector
    frozen = dict(detector, partition=dict(name='freeze', until='block11'))
    config.study.baseline = 'detector'
    config.study.budgets = (20,)
    config.study.strategies = dict(detector=detector, frozen=frozen)


def _smoke(config: ConfigDict) -> None:
    """Makes the config as small as a test of it can be: scenes of small digits."""
    config.data = dict(
        name='scenes',
        of=dict(name='glyphs', part='digits', size=8, per_class=10),
        size=16,
        count=12,
        channels=1,
    )
    config.net = dict(
        name='with_extras',
        of=dict(name='conv4', width=4, blocks=2, size=16),
        maps=('block1', 'block2'),
        widths=(8,),
    )
    config.method = dict(name='single_shot')
    config.init.path = ''
    config.augment = ('flip_boxes',)
    config.steps = 2
    config.batch = 4
    config.optim.warmup = 0
    config.study.budgets = (4, None)
    config.study.strategies = dict(scratch=dict(), backbone=dict())
