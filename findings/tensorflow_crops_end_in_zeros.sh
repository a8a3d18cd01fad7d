#!/usr/bin/env bash
# tf.image.crop_and_resize: the last sample of a box that ends at the picture's border may be zeros.
#
# Box coordinates are shares of the picture: 1.0 is the centre of the last pixel. One would guess
# that the last sample of a box (y1, x1, 1.0, 1.0) is that pixel, whatever y1 and x1 are. The place
# of sample i is y1 * (h - 1) + i * (y2 - y1) * (h - 1) / (n - 1) in float32. Rounding puts it above
# h - 1 for some y1, and places outside of the picture get the extrapolation value, 0.
# Detectors of two stages clip their regions to the picture, so that many regions end there.
#
# Seen with tensorflow-cpu 2.21.0: of 1,000 boxes from a random y1 in (0, 0.9) to 1.0, on columns of
# 20 ones and with 14 samples, 26 crops end in 0 instead of 1, and no other sample is 0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q tensorflow-cpu==2.21.0
TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import tensorflow as tf

rng = np.random.default_rng(0)
tops = rng.uniform(0, 0.9, 1000).astype(np.float32)
boxes = np.stack([tops, np.zeros_like(tops), np.ones_like(tops), np.ones_like(tops)], 1)
picture = np.ones((1, 20, 2, 1), np.float32)
crops = tf.image.crop_and_resize(picture, boxes, np.zeros(1000, np.int32), (14, 2)).numpy()
last, others = crops[:, -1, 0, 0], crops[:, :-1, 0, 0]
print(f'tensorflow {tf.__version__}: last sample 0 in {(last == 0).sum()} of 1000 crops,')
print(f'another sample 0 in {(others == 0).any(1).sum()}')
assert (others == 1).all()
assert (last == 0).sum() == 26
PYTHON
