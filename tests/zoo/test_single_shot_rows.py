"""The rows of one stage in the table of detectors: how many parameters and anchors they have."""

import jax
import pytest

from tljax.configuration import GIVEN, METHODS, ZOO, bind_named, call_named
from tljax.methods.detection import anchoring
from tljax.zoo.detectors import DETECTORS

ROWS = {row: each for row, each in DETECTORS.items() if each.method['name'] == 'single_shot'}
# parameters of Conv2d_12 and Conv2d_13, which the API makes in its pooling pyramid for nobody
UNREAD = sum(9 * a + 2 * a + a * b + 2 * b for a, b in ((512, 1024), (1024, 1024)))
QUICK = ('ssd_mobilenet_v1_ppn', 'ssd_mobilenet_v1')


@pytest.mark.parametrize(
    'row', [pytest.param(row, marks=[pytest.mark.slow] * (row not in QUICK)) for row in ROWS]
)
def test_as_many_parameters_are_trained_as_in_the_api(row):
    detector = ROWS[row]
    net = call_named(ZOO, detector.net, 'net')
    method = bind_named(METHODS, detector.method, 'method', *GIVEN)(net=net, classes=90)
    side = 256 if 'fpn' in row else 96
    batch = {
        'input': jax.ShapeDtypeStruct((1, side, side, 3), 'float32'),
        'label': jax.ShapeDtypeStruct((1, 1, 5), 'float32'),
    }
    params, _ = jax.eval_shape(method.init, jax.random.key(0), batch)
    count = sum(leaf.size for leaf in jax.tree.leaves(params))
    assert count + (UNREAD if row.endswith('ppn') else 0) == detector.parameters


@pytest.mark.parametrize('row', ROWS)
def test_as_many_anchors_as_in_the_api(row):
    detector = ROWS[row]
    maps = [(-(-detector.size // stride),) * 2 for stride in detector.strides]
    anchors = call_named(anchoring.__name__, detector.method['anchors'], 'anchors')
    expected = 51_150 if row.endswith('_fpn') else 3000 if row.endswith('ppn') else 1917
    assert len(anchors(maps, (detector.size,) * 2).boxes) == expected


def test_quantised_twins_have_the_same_graph():
    row = 'ssd_mobilenet_v1_0.75_depth'
    twin = DETECTORS[f'{row}_quantized']
    assert (twin.net, twin.method) == (DETECTORS[row].net, DETECTORS[row].method)
