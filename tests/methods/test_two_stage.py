"""Detectors of two stages: what is proposed, drawn and refused, and labels of every kind."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import two_stage_samples as samples
from test_two_stage_oracle import batch, detector, made

from tljax.core import Tick, UserError
from tljax.methods.detection import proposals as first
from tljax.methods.detection import second_stage as second
from tljax.methods.detection.two_stage import two_stage
from tljax.nn.boxes.matching import BACKGROUND, IGNORED, excused

STATE = {'backbone': {}, 'tail': {}}
ANCHORS = first.region_anchors((96, 128), (6, 8), 16, (32, 64), (0.5, 1, 2))
CROWD = [0.0, 0.0, 1.0, 1.0, -2.0]
LABELS = [  # of one picture each
    [],
    [[0.2, 0.3, 0.2, 0.9, 1], [0.4, 0.4, 0.3, 0.6, 2]],  # without area
    [[0.1, 0.1, 0.6, 0.5, 1]],
    [[0.1, 0.1, 0.6, 0.5, 1], [0.2, 0.3, 0.2, 0.9, 1]],
    [[0.1, 0.1, 0.6, 0.5, 1], CROWD],
    [[0.1 + i % 7 / 20, 0.1 + i // 7 / 50, 0.6, 0.7, i % 3] for i in range(200)],
]


def told(seed, anchors=len(ANCHORS)):
    """Random logits and codes of one picture's anchors."""
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(1, anchors, width)).astype('f') for width in (2, 4)]


def test_fewer_regions_are_the_first_of_many():
    propose = jax.jit(first.propose, static_argnames='limit')
    many, few = (propose(*told(0), ANCHORS.clip(0, 1), limit=limit) for limit in (40, 7))
    assert few[1].all()
    np.testing.assert_array_equal(many[0][:, :7], few[0])


def test_regions_carry_no_gradient():
    def total(logits, codes):
        return first.propose(logits, codes, ANCHORS[:9], 3)[0].sum()

    gradients = jax.jit(jax.grad(total, (0, 1)))(*told(1, 9))
    assert not any(gradient.any() for gradient in gradients)


def test_a_quarter_of_the_drawn_regions_holds_an_object_at_most():
    box = np.array([0.1, 0.1, 0.6, 0.5], 'f')
    good, bad = np.tile(box, (30, 1)), np.tile(box + 0.4, (50, 1))
    boxes = np.concatenate([good, bad, good])[None]
    mask = np.arange(110)[None] < 100  # the last ten are padding
    label = np.array([[[*box, 2.0]]], 'f')
    draw = jax.jit(second.draw_regions, static_argnames='drawn')
    drawn, kept = draw(jax.random.key(0)[None], boxes, mask, label, drawn=40)
    assert drawn.shape == (1, 40, 4) and kept.all()
    assert np.isclose(drawn, box).all(-1).sum() == 10
    again, _ = draw(jax.random.key(1)[None], boxes, mask, label, drawn=40)
    assert np.isclose(again, box).all(-1).sum() == 10
    few, kept = draw(jax.random.key(0)[None], boxes[:, :20], mask[:, :20], label, drawn=40)
    assert few.shape == (1, 20, 4) and kept.sum() == 10


@pytest.fixture(scope='module')
def errors():
    """The four errors of pictures that differ in their labels alone, (pictures, 4)."""
    label = samples.labels(LABELS)
    n = len(label)
    logits, codes = (np.repeat(array, n, 0) for array in told(2))
    rng = np.random.default_rng(3)
    boxes = np.concatenate([[[0.12, 0.1, 0.6, 0.5]], ANCHORS.clip(0, 1)[::5]]).astype('f')
    boxes = np.repeat(boxes[None], n, 0)
    classes = np.repeat(rng.normal(size=(1, boxes.shape[1], 4)).astype('f'), n, 0)
    moves = np.repeat(rng.normal(size=(1, boxes.shape[1], 3, 4)).astype('f'), n, 0)

    @jax.jit
    def compute(label):
        keys = jax.random.split(jax.random.key(0), n)
        mask = jnp.ones(boxes.shape[:2], bool)
        _, drawn = second.draw_regions(keys, boxes, mask, label, 1000)
        return jnp.stack(
            [
                *first.rpn_errors(logits, codes, ANCHORS, label, keys, 1000),
                *second.region_errors(classes, moves, boxes, mask, label),
                drawn.sum(-1),
            ],
            -1,
        )

    return np.asarray(compute(label))


def test_errors_are_finite_for_labels_of_every_kind(errors):
    assert np.isfinite(errors).all() and (errors[:, 0] > 0).all()


def test_boxes_without_area_are_none(errors):
    np.testing.assert_array_equal(errors[1], errors[0])
    np.testing.assert_array_equal(errors[3], errors[2])


def test_without_boxes_only_the_background_is_learnt(errors):
    assert not errors[0, [1, 3]].any() and errors[2:, [1, 3]].all()


def test_background_in_a_crowd_is_ignored(errors):
    everything, boxes_alone = errors[2, 4], errors[4, 4]
    assert boxes_alone == 1 and everything == 1 + len(ANCHORS[::5])


def test_only_background_is_excused_by_a_crowd():
    half = np.array([[0.0, 0.0, 0.5, 1.0, -3.0], [0.0, 0.0, 1.0, 1.0, -1.0]], 'f')
    anchors = np.array([[0.1, 0.1, 0.4, 0.4], [0.3, 0.1, 0.8, 0.4], [0.1, 0.1, 0.4, 0.4]], 'f')
    box = excused(np.array([BACKGROUND, BACKGROUND, 0]), half, anchors)
    assert box.tolist() == [IGNORED, BACKGROUND, 0]


@pytest.mark.slow
@pytest.mark.parametrize('name', ['made_crop', 'made_position'])
def test_gradients_are_finite_for_labels_of_every_kind(name):
    method, params = detector(name)
    data = batch(name)
    gradient = jax.jit(jax.grad(method.loss, has_aux=True))
    tick = Tick(0, jax.random.key(0))
    label = samples.labels(LABELS)
    for part in (label[:3], label[3:], label[:3, :0]):
        grads, (_, metrics) = gradient(params, STATE, {**data, 'label': part}, tick)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((grads, metrics)))


@pytest.mark.slow
def test_weights_scale_the_errors_of_pictures():
    method, params = detector('made_crop')
    data, tick = batch('made_crop'), Tick(0, jax.random.key(0))
    loss = jax.jit(method.loss)
    single = [
        loss(params, STATE, {key: value[i : i + 1] for key, value in data.items()}, tick)[0]
        for i in range(3)
    ]
    weight = np.array([0.5, 2.0, 0.5], 'f')
    value, _ = loss(params, STATE, {**data, 'weight': weight}, tick)
    np.testing.assert_allclose(value, np.mean(weight * np.array(single)), rtol=1e-5)


@pytest.mark.slow
def test_seeds_side_by_side_are_seeds_alone():
    method, params = detector('made_crop')
    data = batch('made_crop')
    method = two_stage(
        made(('conv1', 6, 5, 4), ('conv2', 8, 5, 4)),
        made(('conv3', 10, 3, 1)),
        3,
        proposals=8,
        sides=(32, 64),
        width=16,
        drawn_anchors=16,
        drawn_regions=6,
    )

    def value(key):
        return jax.value_and_grad(method.loss, has_aux=True)(params, STATE, data, Tick(0, key))

    keys = jax.random.split(jax.random.key(0), 2)
    together = jax.jit(jax.vmap(value))(keys)
    for i, key in enumerate(keys):
        jax.tree.map(
            lambda a, b, i=i: np.testing.assert_allclose(a[i], b, rtol=1e-3, atol=1e-5),
            together,
            jax.jit(value)(key),
        )


def refused(net=None, data=None, **keywords):
    """The error of a detector that cannot be made, or cannot take a batch."""
    net = net or made(('conv1', 2, 5, 4), ('conv2', 2, 5, 4))
    keywords = {'classes': 2, 'sides': (32,), **keywords}
    with pytest.raises(UserError) as error:
        method = two_stage(net, made(('conv3', 2, 3, 1)), **keywords)
        data = {**batch('made_crop'), **(data or {})}
        params, state = jax.eval_shape(method.init, jax.random.key(0), data)
        jax.eval_shape(method.loss, params, state, data, Tick(0, jax.random.key(0)))
    return str(error.value)


@pytest.mark.parametrize(
    'keywords, told',
    [
        ({'pool': 'crops'}, "method.pool='crops' is unknown: did you mean crop?"),
        ({'layer': 'map2'}, "method.layer='map2' is unknown: did you mean map1?"),
        ({'classes': 0}, 'method.classes=0'),
        ({'proposals': 0}, 'method.proposals=0'),
        ({'stride': 8}, 'method.stride=8: pictures (96, 128) have a map of (6, 8) cells'),
        ({'sides': (512,)}, 'no anchor lies in the picture'),
        ({'data': {'label': np.zeros(3, 'i')}}, 'takes boxes (n, g, 5), and the labels are (3,)'),
    ],
    ids=['pool', 'layer', 'classes', 'proposals', 'stride', 'sides', 'label'],
)
def test_what_cannot_be_is_refused(keywords, told):
    assert told in refused(**keywords)
