"""Pictures travel as bytes, are decoded by threads in bounded memory, and stay the same numbers."""

import io
import threading
import time
import tracemalloc

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from PIL import Image, ImageOps
from tiny import tiny

from tljax import build
from tljax.core import Task, UserError
from tljax.data import pictures as module
from tljax.data.class_splits import select_classes
from tljax.data.decoding import picture
from tljax.data.formats.folder import folder
from tljax.data.formats.npz import npz
from tljax.data.pictures import picture_dataset
from tljax.data.splits import restrict
from tljax.data.wrappers.resampled import resampled
from tljax.engine.devices import compile_pmap, compile_predict, make_mesh
from tljax.engine.evaluate import predictions
from tljax.engine.train import fit
from tljax.packing import Bytes, unpack
from tljax.paths import flatten

ALL_BYTES = np.arange(256, dtype=np.uint8)
FRACTIONS = ALL_BYTES / np.float32(255)


@pytest.fixture
def photos(tmp_path):
    """A folder of two classes of ten pictures of noise, 20 x 16."""
    rng = np.random.default_rng(0)
    for name in ('ants', 'bees'):
        (tmp_path / name).mkdir()
        for number in range(10):
            noise = rng.integers(256, size=(16, 20, 3), dtype=np.uint8)
            Image.fromarray(noise).save(tmp_path / name / f'{number}.png')
    return tmp_path


@pytest.mark.parametrize(
    'convert',
    [
        unpack,
        jax.jit(unpack),
        jax.vmap(unpack),
        lambda packed: lax.map(unpack, packed),
        jax.jit(lambda packed: lax.scan(lambda carry, x: (carry, unpack(x)), 0, packed)[1]),
    ],
    ids=['eager', 'jit', 'vmap', 'map', 'scan'],
)
def test_the_device_makes_the_floats_of_numpy_bit_by_bit(convert):
    floats = convert(Bytes(jnp.asarray(ALL_BYTES)))
    assert floats.dtype == np.float32
    np.testing.assert_array_equal(floats, FRACTIONS)
    np.testing.assert_array_equal(unpack(Bytes(ALL_BYTES)), FRACTIONS)


def is_packed(dataset):
    values = dataset.packed(np.arange(2))['input']
    return isinstance(values, Bytes) and values.values.dtype == np.uint8


def test_sets_that_store_bytes_give_them_to_the_device_and_floats_to_everybody_else(photos):
    splits = folder(photos, size=8)
    train = splits['train']
    some = restrict(train, np.array([5, 1, 3]))
    for dataset in (train, some, select_classes(train, [1])):
        assert is_packed(dataset)
        batch, packed = dataset.take(np.array([2, 0])), dataset.packed(np.array([2, 0]))
        assert batch['input'].dtype == np.float32
        np.testing.assert_array_equal(batch['input'], packed['input'].values / np.float32(255))
        np.testing.assert_array_equal(batch['label'], packed['label'])
    np.testing.assert_array_equal(
        some.take(np.array([0]))['input'], train.take(np.array([5]))['input']
    )
    # a wrapper that computes with floats keeps them
    assert not is_packed(resampled(splits, size=4)['train'])


def test_an_npz_of_bytes_stays_bytes_and_one_of_floats_stays_floats(tmp_path):
    numbers = np.random.default_rng(0).integers(256, size=(20, 6, 6, 3), dtype=np.uint8)
    label = np.repeat([0, 1], 10)
    np.savez(tmp_path / 'bytes.npz', input=numbers, label=label)
    np.savez(tmp_path / 'floats.npz', input=numbers / np.float32(255), label=label)
    of_bytes, of_floats = npz(tmp_path / 'bytes.npz'), npz(tmp_path / 'floats.npz')
    assert is_packed(of_bytes['train']) and not is_packed(of_floats['train'])
    rows = np.arange(of_bytes['train'].size)
    np.testing.assert_array_equal(
        of_bytes['train'].take(rows)['input'], of_floats['train'].take(rows)['input']
    )


@pytest.mark.slow
def test_a_fit_on_bytes_is_the_fit_on_floats(photos, tmp_path):
    data = {'name': 'folder', 'path': str(photos), 'size': 8}
    run = build.build(tiny({'data': data, 'steps': 6, 'batch': 4}))
    packed = run.stream.take(run.stream.index(0, 0))['input']
    assert packed.values.dtype == np.uint8
    on_floats = run._replace(
        stream=run.stream._replace(take=lambda index: unpack(run.stream.take(index))),
        evals={
            name: dataset._replace(take=lambda index, take=dataset.take: take(index))
            for name, dataset in run.evals.items()
        },
    )
    first, second = fit(run, tmp_path / 'bytes'), fit(on_floats, tmp_path / 'floats')
    for path, leaf in flatten(first.params).items():
        np.testing.assert_array_equal(leaf, flatten(second.params)[path], err_msg=path)
    assert first.scores == second.scores


def test_predictions_and_pmap_take_bytes(photos):
    dataset = folder(photos, size=8)['train']
    seen = []

    def predict(params, state, batch):
        seen.append(batch['input'].dtype)
        return {'output': batch['input']}

    compiled = compile_predict(predict, make_mesh())
    output = predictions(compiled, np.ones(1), {}, dataset, batch=4)['output'][0]
    np.testing.assert_array_equal(output, dataset.take(np.arange(dataset.size))['input'])
    assert set(seen) == {np.dtype('float32')}
    step = compile_pmap(lambda state, batch, seeds: (state, unpack(batch)['input']))
    batch = {'input': Bytes(ALL_BYTES.reshape(1, 1, 256))}
    np.testing.assert_array_equal(
        step.run(jnp.zeros(()), step.place(batch), 0)[1].ravel(), FRACTIONS
    )


def numbered(counts, size=1):
    """A decoder of pictures whose bytes are their row, which counts its calls."""

    def decode(row):
        counts[row] = counts.get(row, 0) + 1
        return np.full((size, size, 3), row % 256, np.uint8)

    return decode


def test_a_set_beyond_the_limit_keeps_what_fits_and_decodes_the_rest_again(monkeypatch):
    counts = {}
    monkeypatch.setattr(module, 'MEMORY', 4 * 3)  # four pictures of three bytes
    dataset = picture_dataset(numbered(counts), (1, 1, 3), np.zeros(10), Task.of('a'), '')
    for _ in range(3):
        values = dataset.packed(np.arange(10))['input'].values
        assert values[:, 0, 0, 0].tolist() == list(range(10))
    assert [counts[row] for row in range(10)] == 4 * [1] + 6 * [3]


def test_a_pass_over_a_set_larger_than_the_limit_takes_bounded_memory(monkeypatch):
    limit, picture_bytes, count = 2**20, 64 * 64 * 3, 2000  # 2 % and 24 MB
    monkeypatch.setattr(module, 'MEMORY', limit)
    dataset = picture_dataset(numbered({}, 64), (64, 64, 3), np.zeros(count), Task.of('a'), '')
    compiled = compile_predict(
        lambda params, state, batch: {'output': batch['input'].sum((1, 2, 3))}, make_mesh()
    )
    tracemalloc.start()
    try:
        predictions(compiled, np.ones(1), {}, dataset, batch=20)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < limit + 30 * 20 * picture_bytes < count * picture_bytes


def test_threads_keep_the_order_and_work_at_once():
    at_once, most, lock = 0, 0, threading.Lock()
    rng = np.random.default_rng(0)
    pauses = rng.uniform(0, 0.01, size=40)

    def decode(row):
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        time.sleep(pauses[row])
        with lock:
            at_once -= 1
        return np.full((1, 1, 1), row, np.uint8)

    dataset = picture_dataset(
        decode, (1, 1, 1), np.zeros(40), Task.of('a'), '', keep=False, workers=4
    )
    rows = rng.permutation(40).reshape(8, 5)
    assert dataset.packed(rows)['input'].values.reshape(8, 5).tolist() == rows.tolist()
    assert 2 <= most <= 4


def test_an_error_of_a_thread_is_raised():
    def decode(row):
        if row == 3:
            raise UserError('picture 3 is damaged: replace it')
        return np.zeros((1, 1, 1), np.uint8)

    dataset = picture_dataset(decode, (1, 1, 1), np.zeros(9), Task.of('a'), '', workers=2)
    with pytest.raises(UserError, match='picture 3'):
        dataset.take(np.arange(9))
    assert dataset.take(np.array([-1]))['input'].shape == (1, 1, 1, 1)


def saved(image, **options):
    file = io.BytesIO()
    image.save(file, **options)
    return file.getvalue()


def smooth(width, height, seed=0):
    """A picture of soft blobs, such as photographs have."""
    noise = np.random.default_rng(seed).integers(256, size=(9, 12, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)


@pytest.mark.parametrize('mode', ['RGB', 'L', 'CMYK'])
@pytest.mark.parametrize('orientation', [1, 3, 6, 7])
@pytest.mark.parametrize('channels', [1, 3])
def test_a_picture_is_what_pillow_makes_of_it_step_by_step(mode, orientation, channels):
    exif = Image.Exif()
    exif[274] = orientation
    data = saved(smooth(50, 37).convert(mode), format='JPEG', exif=exif)
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    image = image.convert({1: 'L', 3: 'RGB'}[channels])
    image = ImageOps.fit(image, (16, 16), Image.Resampling.BILINEAR)
    expected = np.asarray(image).reshape(16, 16, channels)
    np.testing.assert_array_equal(picture(data, 'a.jpg', channels, 16), expected)


def test_draft_is_close_and_changes_no_picture_below_its_limit():
    large = saved(smooth(640, 480), format='JPEG', quality=90)
    exact = picture(large, 'a.jpg', 3, 56).astype(int)
    draft = picture(large, 'a.jpg', 3, 56, draft=2).astype(int)
    assert 0 < abs(draft - exact).max() <= 4
    np.testing.assert_array_equal(picture(large, 'a.jpg', 3, 56, draft=5), exact)
    png = saved(smooth(640, 480), format='PNG')
    np.testing.assert_array_equal(
        picture(png, 'a.png', 3, 56, draft=2), picture(png, 'a.png', 3, 56)
    )


def test_draft_is_a_setting_of_folders_that_changes_the_fingerprint(photos):
    fingerprints = [
        folder(photos, size=8, draft=draft)['train'].fingerprint for draft in (0, 0, 2, 3)
    ]
    assert len(set(fingerprints)) == 3
    with pytest.raises(UserError, match='data.draft=-1: give 0'):
        folder(photos, size=8, draft=-1)
