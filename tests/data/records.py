"""Records of TensorFlow Datasets, written by hand."""

import struct

import pytest

BUILDER = """
import io
import numpy as np
import tensorflow_datasets as tfds
from PIL import Image


class Scenes(tfds.core.GeneratorBasedBuilder):
    VERSION = tfds.core.Version('1.2.0')

    def _info(self):
        kinds = tfds.features
        return self.dataset_info_from_configs(features=kinds.FeaturesDict({
            'image': kinds.Image(shape=(6, 5, 3)), 'photo': kinds.Image(),
            'vector': kinds.Tensor(shape=(3,), dtype=np.float32),
            'label': kinds.ClassLabel(names=['sea', 'hill']), 'count': kinds.Scalar(np.int64),
            'height': kinds.Scalar(np.float32), 'note': kinds.Text()}))

    def _split_generators(self, manager):
        return {'train': self._generate_examples(0, 30),
                'validation': self._generate_examples(1, 5),
                'test': self._generate_examples(2, 6)}

    def _generate_examples(self, part, count):
        for number in range(count):
            pixels = np.random.default_rng([part, number]).integers(0, 256, (6, 5, 3), np.uint8)
            photo = np.full((8, 9 + number), number, np.uint8)
            yield number, {'image': png(pixels), 'photo': png(photo),
                           'vector': np.float32([part, number, .5]),
                           'label': -1 if part == 1 else number % 2, 'count': number,
                           'height': number / 2, 'note': 'none'}


def png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, 'PNG')
    file.seek(0)
    return file
"""


def crc32c(data):
    """CRC-32C bit by bit: reflected polynomial 0x82f63b78."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def framed(data):
    def masked(part):
        crc = crc32c(part)
        return struct.pack('<I', ((crc >> 15 | crc << 17 & 0xFFFFFFFF) + 0xA282EAD8) & 0xFFFFFFFF)

    length = struct.pack('<Q', len(data))
    return length + masked(length) + data + masked(data)


FORMS = pytest.mark.parametrize('form', ['array_record', 'tfrecord'])
