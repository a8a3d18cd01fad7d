"""Scenes: what their boxes hold, and what their seeds and splits decide."""

import numpy as np
import pytest

from tljax.core import Dataset, Task, UserError
from tljax.data import glyphs, scenes

SETTINGS = {'size': 40, 'most': 4, 'count': 24}


@pytest.fixture(scope='module')
def splits():
    return glyphs('digits', size=16, per_class=8)


@pytest.fixture(scope='module')
def made(splits):
    return scenes(splits, **SETTINGS)


def boxes(label):
    """Boxes in pixels and classes of a scene."""
    rows = label[label[:, 4] >= 0]
    pixels = rows[:, :4] * SETTINGS['size']
    np.testing.assert_allclose(pixels, pixels.round(), atol=1e-4)
    return pixels.round().astype(int), rows[:, 4].astype(int)


def test_boxes_hold_all_bright_pixels_and_no_more(made):
    count = 0
    for split in made.values():
        for scene, label in zip(
            split.take(np.arange(split.size))['input'], split.label, strict=True
        ):
            left = scene.copy()
            for top, start, bottom, end in boxes(label)[0]:
                bright = scene[top:bottom, start:end].max(-1) > scene.max() / 10
                edges = bright[0], bright[-1], bright[:, 0], bright[:, -1]
                assert all(edge.any() for edge in edges)
                left[top:bottom, start:end] = 0
                count += 1
            assert left.max() <= scene.max() / 10
    assert count > 36  # of 42 scenes


def test_boxes_never_overlap_and_lie_in_the_scene(made):
    for label in made['train'].label:
        covered = np.zeros((SETTINGS['size'],) * 2, int)
        for top, start, bottom, end in boxes(label)[0]:
            assert 0 <= top < bottom <= SETTINGS['size'] and 0 <= start < end <= SETTINGS['size']
            covered[top:bottom, start:end] += 1
        assert covered.max() <= 1


def test_a_box_has_the_class_of_its_picture():
    """Pictures of one class are squares of its number plus 1 pixels."""
    label = np.arange(12) % 4
    input = np.zeros((12, 6, 6, 1), np.float32)
    for picture, c in zip(input, label, strict=True):
        picture[: c + 1, : c + 1] = 1

    def take(index):
        return {'input': input[index], 'label': label[index]}

    split = Dataset(take, label, Task.of(list('abcd')), 'squares')
    made = scenes({'train': split}, **SETTINGS)['train']
    for row in made.label:
        pixels, classes = boxes(row)
        np.testing.assert_array_equal(pixels[:, 2:] - pixels[:, :2], np.stack([classes + 1] * 2, 1))
    assert made.task.names == split.task.names and {*made.label[..., 4].ravel()} == {-1, 0, 1, 2, 3}


def test_a_seed_decides_labels_and_pixels(splits, made):
    index = np.arange(6)
    again, other = (scenes(splits, **SETTINGS, seed=seed)['train'] for seed in (0, 1))
    first = made['train']
    np.testing.assert_array_equal(first.label, again.label)
    np.testing.assert_array_equal(first.take(index)['input'], again.take(index)['input'])
    np.testing.assert_array_equal(  # whatever is taken with a scene
        first.take(index)['input'][4:], first.take(index[::-1])['input'][1::-1]
    )
    assert not np.array_equal(first.label, other.label)
    assert first.fingerprint == again.fingerprint != other.fingerprint


def test_splits_have_scenes_of_their_own_pictures(splits):
    """A split's pictures are all of one brightness."""

    def dimmed(split, factor):
        def take(index):
            batch = split.take(index)
            return {**batch, 'input': (batch['input'] > 0) * np.float32(factor)}

        return split._replace(take=take)

    factors = {name: 0.25 * (i + 1) for i, name in enumerate(splits)}
    made = scenes({name: dimmed(splits[name], factors[name]) for name in splits}, **SETTINGS)
    sizes = {name: split.size for name, split in made.items()}
    assert sizes == {name: 24 if name == 'train' else 6 for name in splits}
    for name, split in made.items():
        values = np.unique(split.take(np.arange(split.size))['input'])
        np.testing.assert_allclose(values, [0, factors[name]])
    assert len({split.fingerprint for split in made.values()}) == len(splits)


@pytest.mark.parametrize(
    'keywords, said',
    [
        ({'size': 15}, 'data.size=15'),
        ({'most': 0}, 'data.most=0'),
        ({'count': 0}, 'data.count=0'),
        ({'channels': 2}, 'data.channels=2'),
    ],
    ids=lambda value: '-'.join(value) if isinstance(value, dict) else '',
)
def test_what_makes_no_scene_is_refused(splits, keywords, said):
    with pytest.raises(UserError, match=said):
        scenes(splits, **keywords)
