"""The seventeen detectors that TensorFlow's model zoo of 2018 publishes with COCO weights.

Facts: the zoo's page (detection_model_zoo.md of the TensorFlow Object Detection API; time of a
picture of 600x600 pixels on an Nvidia GeForce GTX TITAN X), and the API's sample configs. Numbers
of parameters are those that the API trains, for COCO's 90 classes.
"""

from typing import Any, NamedTuple

from tljax.protocols import Config

EXTRAS = (512, 256, 256, 128)  # channels of SSD's extra layers
DECAY = 0.9997  # momentum of BatchNorm's statistics


class Detector(NamedTuple):
    """A published detector.

    Attributes:
        title: its name in the zoo.
        net: config of backbone and neck.
        method: config of the method.
        size: side of the pictures in pixels; 0: the short side has 600, the long one at most 1024.
        strides: of its maps, in pixels.
        parameters: number of parameters that are trained.
        ap: published average precision on COCO's validation pictures, in percent; None if there is
            none.
        milliseconds: published time of a picture.
        note: what else to know.

    >>> DETECTORS['ssdlite_mobilenet_v2'].size, DETECTORS['ssdlite_mobilenet_v2'].ap
    (300, 22)
    """

    title: str
    net: Config
    method: Config
    size: int
    strides: tuple[int, ...]
    parameters: int
    ap: int | None
    milliseconds: int
    note: str = ''


def _single(anchors: Config, predictor: Config, criterion: Config) -> Config:
    return dict(name='single_shot', anchors=anchors, predictor=predictor, criterion=criterion)


def _mined(predictor: Config, fewest: int) -> Config:
    """SSD with hard examples."""
    predictor = dict(name='by_map', momentum=DECAY, **predictor)
    return _single(dict(name='ssd'), predictor, dict(name='mined', fewest=fewest))


def _focal(momentum: float) -> Config:
    """SSD with the focal loss."""
    predictor = dict(name='by_map', kernel=1, bias=-4.6, deviation=0.01, momentum=momentum)
    return _single(dict(name='ssd'), predictor, dict(name='focal', alpha=0.75))


def _pyramid() -> Config:
    """RetinaNet on the maps of a feature pyramid."""
    predictor = dict(name='shared', momentum=0.997)
    return _single(dict(name='multiscale'), predictor, dict(name='focal', alpha=0.25))


def _v1(alpha: float = 1.0, momentum: float = DECAY) -> Config:
    """MobileNet with SSD's extra layers."""
    backbone = dict(name='mobilenet', alpha=alpha, padding='same', min_depth=16, momentum=momentum)
    widths = tuple(int(alpha * width) for width in EXTRAS)
    return _extras(backbone, ('block11', 'block13'), widths=widths, momentum=momentum)


def _v2(depthwise: bool) -> Config:
    """MobileNetV2 with SSD's extra layers."""
    backbone = dict(name='mobilenet_v2', momentum=DECAY)
    return _extras(backbone, ('block13_expand', 'conv2'), depthwise=depthwise, momentum=DECAY)


def _extras(backbone: Config, maps: tuple[str, ...], **keywords: Any) -> Config:
    return {'name': 'with_extras', 'of': backbone, 'maps': maps, 'widths': EXTRAS, **keywords}


def _faster(title: str, backbone: Config, parameters: int, ap: int | None, ms: int) -> Detector:
    """Faster R-CNN; its backbone has two parts."""
    method = dict(name='two_stage', tail=dict(backbone, part='last'))
    return Detector(title, dict(backbone, part='first'), method, 0, (16,), parameters, ap, ms)


def _few_proposals(detector: Detector, milliseconds: int) -> Detector:
    """The same detector with fewer proposals."""
    return detector._replace(
        title=detector.title.replace('_coco', '_lowproposals_coco'),
        method=dict(detector.method, proposals=20),
        ap=None,
        milliseconds=milliseconds,
        note='20 proposals are a guess: no config was published',
    )


SSD = (16, 32, 64, 100, 150, 300)
PYRAMID = (8, 16, 32, 64, 128)
RESNET50, RESNET101 = (dict(name='resnet_slim', depth=depth) for depth in (50, 101))
FASTER50 = _faster('faster_rcnn_resnet50_coco', RESNET50, 44_152_907, 30, 89)
FASTER101 = _faster('faster_rcnn_resnet101_coco', RESNET101, 63_145_035, 32, 106)
QUANTISED = 'trained with simulated quantisation from step 48,000'

DETECTORS = {
    'ssd_mobilenet_v1': Detector(
        'ssd_mobilenet_v1_coco', _v1(), _mined(dict(kernel=1), 0), 300, SSD, 6_819_839, 21, 30
    ),
    'ssd_mobilenet_v1_0.75_depth': Detector(
        'ssd_mobilenet_v1_0.75_depth_coco',
        _v1(0.75, 0.97),
        _focal(0.97),
        300,
        SSD,
        4_110_735,
        18,
        26,
    ),
    'ssd_mobilenet_v1_quantized': Detector(
        'ssd_mobilenet_v1_quantized_coco',
        _v1(1.0, 0.97),
        _focal(0.97),
        300,
        SSD,
        6_819_839,
        18,
        29,
        QUANTISED,
    ),
    'ssd_mobilenet_v1_0.75_depth_quantized': Detector(
        'ssd_mobilenet_v1_0.75_depth_quantized_coco',
        _v1(0.75, 0.97),
        _focal(0.97),
        300,
        SSD,
        4_110_735,
        16,
        29,
        QUANTISED,
    ),
    'ssd_mobilenet_v1_ppn': Detector(
        'ssd_mobilenet_v1_ppn_coco',
        dict(
            name='with_pools',
            of=dict(
                name='truncated',
                of=dict(name='mobilenet', padding='same', momentum=0.97),
                tap='block11',
                size=300,
            ),
            tap='block11',
        ),
        _single(
            dict(name='ssd', lowest=0.15, highest=0.95, reduced=False),
            dict(name='shared', depth=1, width=512, kernel=1, one_tower=True, momentum=0.97),
            dict(name='focal', alpha=0.75, box_weight=1.5),
        ),
        300,
        SSD,
        3_767_674,
        20,
        26,
        "the API's number of parameters includes two layers that nothing reads",
    ),
    'ssd_mobilenet_v1_fpn': Detector(
        'ssd_mobilenet_v1_fpn_coco',
        dict(
            name='with_pyramid',
            of=dict(name='mobilenet', padding='same', momentum=0.997),
            maps=('block5', 'block11', 'block13'),
            momentum=0.997,
        ),
        _pyramid(),
        640,
        PYRAMID,
        12_080_762,
        32,
        56,
    ),
    'ssd_resnet50_fpn': Detector(
        'ssd_resnet_50_fpn_coco',
        dict(
            name='with_pyramid',
            of=dict(RESNET50, activation='relu6', momentum=0.997),
            maps=('block2', 'block3', 'block4'),
            momentum=0.997,
        ),
        _pyramid(),
        640,
        PYRAMID,
        32_840_570,
        35,
        76,
    ),
    'ssd_mobilenet_v2': Detector(
        'ssd_mobilenet_v2_coco',
        _v2(depthwise=True),
        _mined(dict(kernel=3), 3),
        300,
        SSD,
        16_837_567,
        22,
        31,
    ),
    'ssd_mobilenet_v2_quantized': Detector(
        'ssd_mobilenet_v2_quantized_coco',
        _v2(depthwise=False),
        _mined(dict(kernel=1), 3),
        300,
        SSD,
        6_066_431,
        22,
        29,
        QUANTISED,
    ),
    'ssdlite_mobilenet_v2': Detector(
        'ssdlite_mobilenet_v2_coco',
        _v2(depthwise=True),
        _mined(dict(kernel=3, depthwise=True), 3),
        300,
        SSD,
        4_500_543,
        22,
        27,
    ),
    'ssd_inception_v2': Detector(
        'ssd_inception_v2_coco',
        _extras(
            dict(name='inception_v2', activation='relu6', momentum=DECAY),
            ('Mixed_4c', 'Mixed_5c'),
            momentum=DECAY,
        ),
        _mined(dict(kernel=3), 0),
        300,
        SSD,
        25_030_231,
        24,
        42,
    ),
    'faster_rcnn_inception_v2': _faster(
        'faster_rcnn_inception_v2_coco',
        dict(name='inception_v2', momentum=DECAY),
        13_317_219,
        28,
        58,
    ),
    'faster_rcnn_resnet50': FASTER50,
    'faster_rcnn_resnet50_lowproposals': _few_proposals(FASTER50, 64),
    'rfcn_resnet101': Detector(
        'rfcn_resnet101_coco',
        FASTER101.net,
        dict(FASTER101.method, pool='position_sensitive'),
        0,
        (16,),
        68_479_587,
        30,
        92,
    ),
    'faster_rcnn_resnet101': FASTER101,
    'faster_rcnn_resnet101_lowproposals': _few_proposals(FASTER101, 82),
}
