"""TensorFlow with the names that its Object Detection API asks for; for scripts that write answers.

    PYTHONPATH=API:API/slim:tests/zoo TF/bin/python SCRIPT ...

API is the unpacked archive of tf-models-research-object-detection 2.8.0.post1 from PyPI. TF is an
environment with tensorflow-cpu 2.21.0, tf_keras 2.21.0, tf_slim 1.1.0, matplotlib, lxml, pandas,
pillow, pycocotools, lvis and six. A script imports `tf` from here before it imports the API.
"""

import os
import sys
import types

import numpy as np

os.environ |= {'TF_USE_LEGACY_KERAS': '1', 'PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION': 'python'}
np.int, np.float = int, float
for name in (
    'tensorflow_io',
    'tensorflow.contrib',
    'tensorflow.contrib.slim',
    'tensorflow.contrib.image',
    'tensorflow.contrib.image.python',
    'tensorflow.contrib.image.python.ops',
    'tensorflow.contrib.image.python.ops.image_ops',
):
    sys.modules[name] = types.ModuleType(name)
    parent, _, child = name.rpartition('.')
    if parent in sys.modules:
        setattr(sys.modules[parent], child, sys.modules[name])
import tensorflow as tf  # noqa: E402
import tf_keras.src.legacy_tf_layers  # noqa: E402

sys.modules['tf_keras.legacy_tf_layers'] = tf_keras.src.legacy_tf_layers
tf.compat.v1.disable_v2_behavior()
