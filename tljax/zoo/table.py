"""The networks with ImageNet weights, as `ROWS`, in the order of Keras's own table.

Accuracies, sizes and depths are those that Keras publishes with the weights
(https://keras.io/api/applications), files and checksums those of its source.
"""

from typing import NamedTuple

SOURCE = 'https://storage.googleapis.com/tensorflow/keras-applications/'
STEM = '{name}_weights_tf_dim_ordering_tf_kernels{top}.h5'


class Row(NamedTuple):
    """What is known of a network with published ImageNet weights.

    Attributes:
        title: the network's name as published, and Keras's.
        module: module of this package.
        size: side of the pictures that it was trained on, pixels.
        mode: what it does to the pictures (`preprocessing.preprocess`).
        parameters: all numbers, batch statistics and the 1,000 outputs counted.
        megabytes: size of the file.
        top1: published accuracy on ImageNet's validation pictures.
        top5: the same, where the class may be any of the five most probable ones.
        depth: layers on the longest way through, as published.
        file: file of its weights, below SOURCE, {top} standing for what tells them from those
            without top.
        md5: of the file with top and of the one without, where published.
        top: Keras's layers above the features.
        notop: what {top} stands for in the name of the file without top.
        widths: {alpha: as the file's name writes it}.
        sizes: of pictures that weights are published for, where there are several.

    >>> ROWS['mobilenet'].size, ROWS['mobilenet'].resize
    (224, 256)
    >>> ROWS['mobilenet'].url('mobilenet', alpha=0.25, size=128).rsplit('/', 1)[1]
    'mobilenet_2_5_128_tf.h5'
    """

    title: str
    module: str
    size: int
    mode: str
    parameters: int
    megabytes: int
    top1: float
    top5: float
    depth: int
    file: str
    md5: tuple[str, ...] = ()
    top: tuple[str, ...] = ('predictions',)
    notop: str = '_notop'
    widths: dict[float, str] = {}  # noqa: RUF012
    sizes: tuple[int, ...] = ()

    def url(self, name: str, top: bool = True, alpha: float = 1.0, size: int = 0) -> str:
        """The address of its weights.

        Args:
            name: of the network, a key of ROWS.
            top: with the 1,000 outputs or without.
            alpha: width, one of `widths` where there are several.
            size: of the pictures, one of `sizes`; 0: `size` of the row.
        """
        return SOURCE + self.file.format(
            name=name,
            top='' if top else self.notop,
            alpha=self.widths.get(alpha),
            rows=size or self.size,
        )

    @property
    def resize(self) -> int:
        """What the short side of a picture is scaled to before the centre is cropped: 8/7 of
        `size`."""
        return round(self.size * 8 / 7)


def _vgg(title, parameters, megabytes, top1, top5, depth, *md5):
    return Row(
        title,
        'vgg',
        224,
        'caffe',
        parameters,
        megabytes,
        top1,
        top5,
        depth,
        f'{title.lower()}/{STEM}',
        md5,
        ('fc1', 'fc2', 'predictions'),
    )


def _resnet(title, mode, parameters, megabytes, top1, top5, depth, *md5):
    return Row(
        title, 'resnet', 224, mode, parameters, megabytes, top1, top5, depth, f'resnet/{STEM}', md5
    )


def _densenet(title, parameters, megabytes, top1, top5, depth, *md5):
    return Row(
        title,
        'densenet',
        224,
        'torch',
        parameters,
        megabytes,
        top1,
        top5,
        depth,
        f'densenet/{STEM}',
        md5,
    )


def _inception(title, module, parameters, megabytes, top1, top5, depth, logits, *md5):
    return Row(
        title,
        module,
        299,
        'tf',
        parameters,
        megabytes,
        top1,
        top5,
        depth,
        f'{module}/{STEM}',
        md5,
        ('predictions', logits),
    )


def _nasnet(title, kind, size, parameters, megabytes, top1, top5, depth, *md5):
    file = f'nasnet/NASNet-{kind}{{top}}.h5'
    return Row(
        title,
        'nasnet',
        size,
        'tf',
        parameters,
        megabytes,
        top1,
        top5,
        depth,
        file,
        md5,
        notop='-no-top',
    )


ROWS = {
    'xception': _inception(
        'Xception',
        'xception',
        22_910_480,
        88,
        0.790,
        0.945,
        81,
        'dense_2',
        '0a58e3b7378bc2990ea3b43d5981f1f6',
        'b0042744bf5b25fce3cb969f33bebb97',
    ),
    'vgg16': _vgg(
        'VGG16',
        138_357_544,
        528,
        0.713,
        0.901,
        16,
        '64373286793e3c8b2b4e3219cbf3544b',
        '6d6bbae143d832006294945121d1f1fc',
    ),
    'vgg19': _vgg(
        'VGG19',
        143_667_240,
        549,
        0.713,
        0.900,
        19,
        'cbe5617147190e668d6c5d5026f83318',
        '253f8cb515780f3b799900260a226db6',
    ),
    'resnet50': _resnet(
        'ResNet50',
        'caffe',
        25_636_712,
        98,
        0.749,
        0.921,
        107,
        '2cb95161c43110f7111970584f804107',
        '4d473c1dd8becc155b73f8504c6f6626',
    ),
    'resnet101': _resnet(
        'ResNet101',
        'caffe',
        44_707_176,
        171,
        0.764,
        0.928,
        209,
        'f1aeb4b969a6efcfb50fad2f0c20cfc5',
        '88cf7a10940856eca736dc7b7e228a21',
    ),
    'resnet152': _resnet(
        'ResNet152',
        'caffe',
        60_419_944,
        232,
        0.766,
        0.931,
        311,
        '100835be76be38e30d865e96f2aaae62',
        'ee4c566cf9a93f14d82f913c2dc6dd0c',
    ),
    'resnet50v2': _resnet(
        'ResNet50V2',
        'tf',
        25_613_800,
        98,
        0.760,
        0.930,
        103,
        '3ef43a0b657b3be2300d5770ece849e0',
        'fac2f116257151a9d068a22e544a4917',
    ),
    'resnet101v2': _resnet(
        'ResNet101V2',
        'tf',
        44_675_560,
        171,
        0.772,
        0.938,
        205,
        '6343647c601c52e1368623803854d971',
        'c0ed64b8031c3730f411d2eb4eea35b5',
    ),
    'resnet152v2': _resnet(
        'ResNet152V2',
        'tf',
        60_380_648,
        232,
        0.780,
        0.942,
        307,
        'a49b44d1979771252814e80f8ec446f9',
        'ed17cf2e0169df9d443503ef94b23b33',
    ),
    'inception_v3': _inception(
        'InceptionV3',
        'inception_v3',
        23_851_784,
        92,
        0.779,
        0.937,
        189,
        'predictions',
        '9a0d58056eeedaa3f26cb7ebd46da564',
        'bcbd6486424b2319ff4ef7d526e38f63',
    ),
    'inception_resnet_v2': _inception(
        'InceptionResNetV2',
        'inception_resnet_v2',
        55_873_736,
        215,
        0.803,
        0.953,
        449,
        'Logits',
        'e693bd0210a403b3192acc6073ad2e96',
        'd19885ff4a710c122648d3b5c3b684e4',
    ),
    'mobilenet': Row(
        'MobileNet',
        'mobilenet',
        224,
        'tf',
        4_253_864,
        16,
        0.704,
        0.895,
        55,
        'mobilenet/mobilenet_{alpha}_{rows}_tf{top}.h5',
        top=('conv_preds',),
        notop='_no_top',
        widths={0.25: '2_5', 0.5: '5_0', 0.75: '7_5', 1.0: '1_0'},
        sizes=(128, 160, 192, 224),
    ),
    'mobilenet_v2': Row(
        'MobileNetV2',
        'mobilenet_v2',
        224,
        'tf',
        3_538_984,
        14,
        0.713,
        0.901,
        105,
        'mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{alpha}_{rows}{top}.h5',
        notop='_no_top',
        widths={alpha: str(alpha) for alpha in (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)},
        sizes=(96, 128, 160, 192, 224),
    ),
    'densenet121': _densenet(
        'DenseNet121',
        8_062_504,
        33,
        0.750,
        0.923,
        242,
        '9d60b8095a5708f2dcce2bca79d332c7',
        '30ee3e1110167f948a6b9946edeeb738',
    ),
    'densenet169': _densenet(
        'DenseNet169',
        14_307_880,
        57,
        0.762,
        0.932,
        338,
        'd699b8f76981ab1b30698df4c175e90b',
        'b8c4d4c20dd625c148057b9ff1c1176b',
    ),
    'densenet201': _densenet(
        'DenseNet201',
        20_242_984,
        80,
        0.773,
        0.936,
        402,
        '1ceb130c1ea1b78c3bf6114dbdfd8807',
        'c13680b51ded0fb44dff2d8f86ac8bb1',
    ),
    'nasnet_mobile': _nasnet(
        'NASNetMobile',
        'mobile',
        224,
        5_326_716,
        23,
        0.744,
        0.919,
        389,
        '020fb642bf7360b370c678b08e0adf61',
        '1ed92395b5b598bdda52abe5c0dbfd63',
    ),
    'nasnet_large': _nasnet(
        'NASNetLarge',
        'large',
        331,
        88_949_818,
        343,
        0.825,
        0.960,
        533,
        '11577c9a518f0070763c2b964a382f17',
        'd81d89dc07e6e56530c4e77faddd61b5',
    ),
}
