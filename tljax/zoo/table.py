"""The networks with published weights, as `ROWS`: those of Keras's own table, in its order, and
those whose weights timm publishes, and CLIP, which `timm.csv` lists.

Keras publishes the accuracies, sizes and depths with the weights
(https://keras.io/api/applications). The names of files and the checksums are those of its source.
Accuracies of the others are those that timm measured (its results-imagenet.csv, August 2026), at
the table's picture size; their other facts are those of timm 1.0.31. CLIP's facts are those of
open_clip 3.3.0.
"""

import csv
import json
from pathlib import Path
from typing import Any, NamedTuple

from tljax.nn.preprocessing import MODES, Mode

SOURCE = 'https://storage.googleapis.com/tensorflow/keras-applications/'
STEM = '{name}_weights_tf_dim_ordering_tf_kernels{top}.h5'


class Row(NamedTuple):
    """A network with published weights.

    Attributes:
        title: name of the network in its paper or in Keras.
        module: module of `zoo.families` that defines the network.
        size: side of the pictures that the weights were trained or are tested on, pixels.
        mode: preprocessing of the pictures, as `nn.preprocessing.preprocess` has it.
        parameters: number of parameters with the 1,000 outputs, if there are any, as published:
            Keras counts batch statistics, timm does not. CLIP's are those of both towers.
        megabytes: size of the file of weights.
        top1: published top-1 accuracy on ImageNet's validation set, 0 to 1; None without outputs.
        top5: published top-5 accuracy on the same pictures.
        depth: number of layers on the longest path, as Keras publishes it; None elsewhere.
        file: path of Keras's file of weights below SOURCE, with placeholders: {top} is empty for
            the file with the 1,000 outputs and `notop` for the file without; '' where Keras has
            none.
        md5: checksums of the file with the outputs and of the file without; empty where none are
            published.
        top: names of Keras's layers above the features.
        notop: text for {top} in the name of the file without the outputs.
        widths: {alpha: its text in the file's name}; empty where there is one width.
        sizes: sides of pictures with published weights; empty where there is one size.
        crop: side of the centre crop over a picture's short side.
        interpolation: filter that scales the pictures, 'bilinear' or 'bicubic'.
        licence: of the weights.
        function: name of the function in `module` that makes the network from `keywords`; '' where
            the row has a function of its own.
        keywords: of that function.
        weights: name of the weights on the Hugging Face hub; '' for Keras's.

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
    top1: float | None
    top5: float | None
    depth: int | None = None
    file: str = ''
    md5: tuple[str, ...] = ()
    top: tuple[str, ...] = ('predictions',)
    notop: str = '_notop'
    widths: dict[float, str] = {}  # noqa: RUF012
    sizes: tuple[int, ...] = ()
    crop: float = 0.875
    interpolation: str = 'bilinear'
    licence: str = ''
    function: str = ''
    keywords: dict[str, Any] = {}  # noqa: RUF012
    weights: str = ''

    def url(self, name: str, top: bool = True, alpha: float = 1.0, size: int = 0) -> str:
        """Returns the address of the network's weights.

        Args:
            name: key of the network in ROWS.
            top: whether the file has the 1,000 outputs.
            alpha: width multiplier, a key of `widths` where there are several.
            size: side of the training pictures, one of `sizes`; 0: the row's `size`.
        """
        return SOURCE + self.file.format(
            name=name,
            top='' if top else self.notop,
            alpha=self.widths.get(alpha),
            rows=size or self.size,
        )

    @property
    def pixels(self) -> Mode:
        """Mean and standard deviation that the pixels are normalised by."""
        return MODES[self.mode]

    @property
    def resize(self) -> int:
        """Length of a picture's short side before the centre crop, pixels."""
        return round(self.size / self.crop)


def _vgg(title, **facts):
    return Row(
        title=title,
        module='vgg',
        size=224,
        mode='caffe',
        file=f'{title.lower()}/{STEM}',
        top=('fc1', 'fc2', 'predictions'),
        licence='CC-BY-4.0',
        **facts,
    )


def _resnet(**facts):
    return Row(module='resnet', size=224, file=f'resnet/{STEM}', licence='MIT', **facts)


def _densenet(**facts):
    return Row(
        module='densenet',
        size=224,
        mode='torch',
        file=f'densenet/{STEM}',
        licence='BSD-3-Clause',
        **facts,
    )


def _inception(module, **facts):
    return Row(module=module, size=299, mode='tf', file=f'{module}/{STEM}', **facts)


def _nasnet(**facts):
    return Row(module='nasnet', mode='tf', notop='-no-top', licence='Apache-2.0', **facts)


KERAS = {
    'xception': _inception(
        title='Xception',
        module='xception',
        parameters=22_910_480,
        megabytes=88,
        top1=0.790,
        top5=0.945,
        depth=81,
        md5=('0a58e3b7378bc2990ea3b43d5981f1f6', 'b0042744bf5b25fce3cb969f33bebb97'),
        top=('predictions', 'dense_2'),
        licence='MIT',
    ),
    'vgg16': _vgg(
        title='VGG16',
        parameters=138_357_544,
        megabytes=528,
        top1=0.713,
        top5=0.901,
        depth=16,
        md5=('64373286793e3c8b2b4e3219cbf3544b', '6d6bbae143d832006294945121d1f1fc'),
    ),
    'vgg19': _vgg(
        title='VGG19',
        parameters=143_667_240,
        megabytes=549,
        top1=0.713,
        top5=0.900,
        depth=19,
        md5=('cbe5617147190e668d6c5d5026f83318', '253f8cb515780f3b799900260a226db6'),
    ),
    'resnet50': _resnet(
        title='ResNet50',
        mode='caffe',
        parameters=25_636_712,
        megabytes=98,
        top1=0.749,
        top5=0.921,
        depth=107,
        md5=('2cb95161c43110f7111970584f804107', '4d473c1dd8becc155b73f8504c6f6626'),
    ),
    'resnet101': _resnet(
        title='ResNet101',
        mode='caffe',
        parameters=44_707_176,
        megabytes=171,
        top1=0.764,
        top5=0.928,
        depth=209,
        md5=('f1aeb4b969a6efcfb50fad2f0c20cfc5', '88cf7a10940856eca736dc7b7e228a21'),
    ),
    'resnet152': _resnet(
        title='ResNet152',
        mode='caffe',
        parameters=60_419_944,
        megabytes=232,
        top1=0.766,
        top5=0.931,
        depth=311,
        md5=('100835be76be38e30d865e96f2aaae62', 'ee4c566cf9a93f14d82f913c2dc6dd0c'),
    ),
    'resnet50v2': _resnet(
        title='ResNet50V2',
        mode='tf',
        parameters=25_613_800,
        megabytes=98,
        top1=0.760,
        top5=0.930,
        depth=103,
        md5=('3ef43a0b657b3be2300d5770ece849e0', 'fac2f116257151a9d068a22e544a4917'),
    ),
    'resnet101v2': _resnet(
        title='ResNet101V2',
        mode='tf',
        parameters=44_675_560,
        megabytes=171,
        top1=0.772,
        top5=0.938,
        depth=205,
        md5=('6343647c601c52e1368623803854d971', 'c0ed64b8031c3730f411d2eb4eea35b5'),
    ),
    'resnet152v2': _resnet(
        title='ResNet152V2',
        mode='tf',
        parameters=60_380_648,
        megabytes=232,
        top1=0.780,
        top5=0.942,
        depth=307,
        md5=('a49b44d1979771252814e80f8ec446f9', 'ed17cf2e0169df9d443503ef94b23b33'),
    ),
    'inception_v3': _inception(
        title='InceptionV3',
        module='inception_v3',
        parameters=23_851_784,
        megabytes=92,
        top1=0.779,
        top5=0.937,
        depth=189,
        md5=('9a0d58056eeedaa3f26cb7ebd46da564', 'bcbd6486424b2319ff4ef7d526e38f63'),
        top=('predictions', 'predictions'),
        licence='MIT',
    ),
    'inception_resnet_v2': _inception(
        title='InceptionResNetV2',
        module='inception_resnet_v2',
        parameters=55_873_736,
        megabytes=215,
        top1=0.803,
        top5=0.953,
        depth=449,
        md5=('e693bd0210a403b3192acc6073ad2e96', 'd19885ff4a710c122648d3b5c3b684e4'),
        top=('predictions', 'Logits'),
        licence='Apache-2.0',
    ),
    'mobilenet': Row(
        title='MobileNet',
        module='mobilenet',
        size=224,
        mode='tf',
        parameters=4_253_864,
        megabytes=16,
        top1=0.704,
        top5=0.895,
        depth=55,
        file='mobilenet/mobilenet_{alpha}_{rows}_tf{top}.h5',
        top=('conv_preds',),
        notop='_no_top',
        widths={0.25: '2_5', 0.5: '5_0', 0.75: '7_5', 1.0: '1_0'},
        sizes=(128, 160, 192, 224),
        licence='Apache-2.0',
    ),
    'mobilenet_v2': Row(
        title='MobileNetV2',
        module='mobilenet_v2',
        size=224,
        mode='tf',
        parameters=3_538_984,
        megabytes=14,
        top1=0.713,
        top5=0.901,
        depth=105,
        file='mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{alpha}_{rows}{top}.h5',
        notop='_no_top',
        widths={0.35: '0.35', 0.5: '0.5', 0.75: '0.75', 1.0: '1.0', 1.3: '1.3', 1.4: '1.4'},
        sizes=(96, 128, 160, 192, 224),
        licence='Apache-2.0',
    ),
    'densenet121': _densenet(
        title='DenseNet121',
        parameters=8_062_504,
        megabytes=33,
        top1=0.750,
        top5=0.923,
        depth=242,
        md5=('9d60b8095a5708f2dcce2bca79d332c7', '30ee3e1110167f948a6b9946edeeb738'),
    ),
    'densenet169': _densenet(
        title='DenseNet169',
        parameters=14_307_880,
        megabytes=57,
        top1=0.762,
        top5=0.932,
        depth=338,
        md5=('d699b8f76981ab1b30698df4c175e90b', 'b8c4d4c20dd625c148057b9ff1c1176b'),
    ),
    'densenet201': _densenet(
        title='DenseNet201',
        parameters=20_242_984,
        megabytes=80,
        top1=0.773,
        top5=0.936,
        depth=402,
        md5=('1ceb130c1ea1b78c3bf6114dbdfd8807', 'c13680b51ded0fb44dff2d8f86ac8bb1'),
    ),
    'nasnet_mobile': _nasnet(
        title='NASNetMobile',
        size=224,
        parameters=5_326_716,
        megabytes=23,
        top1=0.744,
        top5=0.919,
        depth=389,
        file='nasnet/NASNet-mobile{top}.h5',
        md5=('020fb642bf7360b370c678b08e0adf61', '1ed92395b5b598bdda52abe5c0dbfd63'),
    ),
    'nasnet_large': _nasnet(
        title='NASNetLarge',
        size=331,
        parameters=88_949_818,
        megabytes=343,
        top1=0.825,
        top5=0.960,
        depth=533,
        file='nasnet/NASNet-large{top}.h5',
        md5=('11577c9a518f0070763c2b964a382f17', 'd81d89dc07e6e56530c4e77faddd61b5'),
    ),
}


def _timm() -> dict[str, Row]:
    """Returns the rows of timm.csv."""
    rows = {}
    path = Path(__file__).with_name('timm.csv')
    with path.open(encoding='utf-8', newline='') as file:
        for facts in csv.DictReader(file):
            rows[facts['name']] = Row(
                title=facts['title'],
                module=facts['module'],
                size=int(facts['size']),
                mode=facts['mode'],
                parameters=int(facts['parameters']),
                megabytes=round(4 * int(facts['parameters']) / 1e6),
                top1=float(facts['top1']) if facts['top1'] else None,
                top5=float(facts['top5']) if facts['top5'] else None,
                crop=float(facts['crop']),
                interpolation=facts['interpolation'],
                licence=facts['licence'],
                function=facts['function'],
                keywords=_keywords(facts['keywords']),
                weights=facts['weights'],
            )
    return rows


def _keywords(text: str) -> dict[str, Any]:
    """Returns the keywords of 'size=small;patch=16'."""
    pairs = (pair.split('=') for pair in text.split(';'))
    return {key: _value(value) for key, value in pairs}


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


ROWS = {**KERAS, **_timm()}
