"""An exported file predicts what its run does, without the code of the run, and can be trained."""

import io
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from commands import call, error

import tljax
from tljax import exported, paths, zoo
from tljax.configuration import GIVEN, METHODS, ZOO, bind_named, call_named
from tljax.core import UserError
from tljax.data.formats.arrays import arrays
from tljax.nn.convolution import convolve
from tljax.platforms import for_any
from tljax.studies import exporting, models
from tljax.studies.model_choice import ModelChoice
from tljax.trained import Trained
from tljax.zoo.table import ROWS

DIGITS = {'name': 'digits', 'size': 8}
SMALL = {'name': 'conv4', 'width': 4, 'blocks': 2, 'size': 8}
FAMILIES = {row.module: name for name, row in reversed(ROWS.items())}


def trained(workdir, **settings):
    return tljax.train(**{'data': DIGITS, 'net': SMALL, 'steps': 20, **settings}, workdir=workdir)


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """A run of two seeds, pictures, and its file, which can be differentiated."""
    root = tmp_path_factory.mktemp('exported')
    model = trained(root / 'run', seeds=[0, 1], optim={'lr': 0.02})
    exporting.export(model, str(root / 'a.tljax'), vjp=True)
    return model, np.random.default_rng(0).random((7, 8, 8, 1), np.float32), root


def test_a_file_predicts_what_its_run_does_for_any_number_of_inputs(run):
    model, inputs, root = run
    file = exported.load(root / 'a.tljax')
    assert file.classes == model.classes and file.about['seeds'] == 2
    for count in (1, 7):
        np.testing.assert_allclose(
            file.predict(inputs[:count]), model.predict(inputs[:count]), atol=1e-6
        )
    pixels = (255 * inputs).astype(np.uint8)
    np.testing.assert_allclose(file.predict(pixels), model.predict(pixels), atol=1e-6)
    features = file.features(file.parameters, inputs)
    for seed in range(2):
        np.testing.assert_allclose(features[seed], model.features(inputs, seed=seed), atol=1e-5)


def test_equal_models_are_equal_files_of_arrays_and_text(run):
    model, _, root = run
    first = (root / 'a.tljax').read_bytes()
    exporting.export(model, str(root / 'again.tljax'), vjp=True)
    assert (root / 'again.tljax').read_bytes() == first
    with zipfile.ZipFile(root / 'a.tljax') as file:
        program = file.read(exported.PROGRAM)
        kinds = {Path(name).suffix for name in file.namelist()}
        kernel = np.load(io.BytesIO(file.read('parameters/head/kernel.npy')), allow_pickle=False)
    assert kinds == {'.json', '.bin', '.npy'}
    assert str(Path.cwd()).encode() not in program  # no path of this machine
    np.testing.assert_array_equal(kernel, model.params['head']['kernel'])


def descent(file, inputs, label, steps=10):
    """Losses of gradient descent on the parameters of an exported file."""

    def loss(parameters):
        logits = file.outputs(parameters, inputs)
        return -jnp.take_along_axis(jax.nn.log_softmax(logits), label[None, :, None], 2).mean()

    parameters, losses, slope = file.parameters, [], jax.jit(jax.value_and_grad(loss))
    for _ in range(steps):
        value, gradient = slope(parameters)
        parameters = jax.tree.map(lambda leaf, slope: leaf - 0.5 * slope, parameters, gradient)
        losses.append(float(value))
    return losses


def test_a_file_with_its_derivative_is_trained_further(run):
    _, inputs, root = run
    losses = descent(exported.load(root / 'a.tljax'), inputs, np.arange(7))
    assert losses[-1] < 0.8 * losses[0]


def test_gradients_are_those_of_finite_differences(run):
    _, inputs, root = run
    file = exported.load(root / 'a.tljax')

    def mean(shift):
        moved = {**file.parameters}
        moved['backbone/conv2/kernel'] = moved['backbone/conv2/kernel'] + shift
        return file.outputs(moved, inputs).mean()

    slope = (mean(1e-2) - mean(-1e-2)) / 2e-2
    assert float(jax.grad(mean)(0.0)) == pytest.approx(float(slope), rel=0.05, abs=1e-4)


def test_a_file_without_its_derivative_says_so(run, tmp_path):
    model, inputs, _ = run
    exporting.export(model, str(tmp_path / 'a.tljax'))
    with pytest.raises(ValueError, match='VJP'):
        descent(exported.load(tmp_path / 'a.tljax'), inputs, np.arange(7), steps=1)


def points(labels, classes, **changes):
    rng = np.random.default_rng(0)
    data = arrays(rng.normal(size=(len(labels), 3)).astype('f'), labels, classes)
    return {'train': data._replace(**changes)}


@pytest.mark.parametrize('kind', ['numbers', 'labels', 'kept start', 'tasks'])
def test_other_tasks_and_methods(kind, tmp_path):
    rng, settings = np.random.default_rng(1), {'net': {'name': 'mlp', 'widths': [4]}, 'name': ''}
    if kind == 'labels':
        labels = rng.integers(0, 2, (12, 3))
        settings['data'] = points(labels, 'abc', task=tljax.Task('labels', ('a', 'b', 'c')))
    elif kind == 'tasks':
        part = {'size': 8}
        sets = {'read': {'name': 'digits', **part}, 'see': {'name': 'digits', **part}}
        settings |= {'data': {'name': 'joint_tasks', 'of': sets}, 'method': 'hard_sharing'}
    else:
        settings['data'] = points(rng.normal(size=(12, 2)).astype('f'), ())
    if kind == 'kept start':
        settings['penalty'] = {'name': 'l2_sp'}
    settings.pop('name')
    model = trained(tmp_path / 'run', **settings, batch=4)
    model = model.for_task('see') if kind == 'tasks' else model
    inputs = rng.normal(size=(5, *model.record['input'])).astype('f')
    inputs = np.abs(inputs) / 9 if inputs.ndim == 4 else inputs
    exporting.export(model, str(tmp_path / 'a.tljax'))
    file = exported.load(tmp_path / 'a.tljax')
    np.testing.assert_allclose(file.predict(inputs), model.predict(inputs), atol=1e-5)
    if kind == 'kept start':  # no prediction reads where training started
        assert 'l2_sp/backbone/dense1/kernel' in paths.flatten(model.state)
        assert not any(path.startswith('l2_sp') for path in file.statistics)
    if kind == 'tasks':  # the head of the other task is left out
        assert not any(path.startswith('head/read') for path in file.parameters)


@pytest.mark.slow
@pytest.mark.parametrize('method', ['single_shot', 'two_stage'])
def test_a_detector_finds_the_same_boxes(method, tmp_path):
    of = {**SMALL, 'size': 16}
    net = {'name': 'with_extras', 'of': of, 'maps': ('block1', 'block2'), 'widths': (8,)}
    spec = {'name': method}
    if method == 'two_stage':
        net, tail = of, {'name': 'conv4', 'width': 4, 'blocks': 1, 'size': 7}
        spec |= {'tail': tail, 'layer': 'block2', 'stride': 4, 'sides': (8,), 'proposals': 5}
    record = {
        'config': {'net': net, 'method': spec, 'data': {}},
        'task': 'boxes',
        'classes': ['a', 'b'],
        'input': [16, 16, 1],
        'seeds': [0],
    }
    network = call_named(ZOO, net, 'net')
    made = bind_named(METHODS, spec, 'method', *GIVEN)(net=network, classes=2)
    rng = np.random.default_rng(0)
    inputs = rng.random((3, 16, 16, 1), np.float32)
    label = np.full((3, 1, 5), -1, np.float32)
    params, state = jax.jit(made.init)(jax.random.key(0), {'input': inputs, 'label': label})
    params = jax.tree.map(lambda leaf: leaf + 0.3 * rng.normal(size=leaf.shape), params)
    params, state = jax.tree.map(lambda leaf: np.asarray(leaf, np.float32)[None], (params, state))
    model = Trained(params, state, record)
    exporting.export(model, str(tmp_path / 'a.tljax'))
    found, expected = exported.load(tmp_path / 'a.tljax').predict(inputs), model.predict(inputs)
    assert (expected[..., 4] >= 0).any()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def changed(path, out, **about):
    """A copy of a file whose about.json says something else."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(out, 'w') as new:
        for name in old.namelist():
            content = old.read(name)
            if name == exported.ABOUT:
                content = json.dumps({**json.loads(content), **about}).encode()
            new.writestr(name, content)


def test_files_that_cannot_be_used_are_refused_in_a_line(run, tmp_path):
    _, inputs, root = run
    path = root / 'a.tljax'
    changed(path, tmp_path / 'future.tljax', calling_convention=99)
    changed(path, tmp_path / 'tpu.tljax', platforms=['tpu'])
    changed(path, tmp_path / 'new.tljax', format=2)
    content = path.read_bytes()
    (tmp_path / 'short.tljax').write_bytes(content[: len(content) // 2])
    place = content.index(b'NUMPY') + 200  # within the numbers of an array
    (tmp_path / 'flipped.tljax').write_bytes(
        content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
    )
    (tmp_path / 'text.tljax').write_text('no model')
    said = {
        'future': 'has the calling convention 99',
        'tpu': 'was made for tpu, and this machine has cpu: export it with --platforms=tpu,cpu',
        'new': 'has format 2',
        'short': 'is damaged',
        'flipped': 'is damaged',
        'text': 'is damaged',
        'absent': 'does not exist',
    }
    for name, text in said.items():
        with pytest.raises(ValueError) as raised:
            exported.load(tmp_path / f'{name}.tljax')
        assert text in str(raised.value) and '\n' not in str(raised.value)
    with pytest.raises(ValueError, match=r'this model takes \(n, 8, 8, 1\)'):
        exported.load(path).predict(inputs[0])


def test_commands_export_and_predict_from_a_file(run, tmp_path):
    from PIL import Image

    _, _, root = run
    for i in range(3):
        pixels = np.random.default_rng(i).integers(0, 255, (12, 9), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f'{i}.png')
    done = call('export', f'--workdir={root}/run', f'--out={tmp_path}/b.tljax')
    assert done.code == 0, done.err
    told = [
        json.loads(call('predict', model, '--json', '--top=10', tmp_path).out)
        for model in (f'--workdir={root}/run', f'--model={tmp_path}/b.tljax')
    ]
    for ours, theirs in zip(*told, strict=True):
        assert ours['path'] == theirs['path']
        assert dict(ours['top']) == pytest.approx(dict(theirs['top']), abs=1e-5)


def test_commands_refuse_in_a_line(run, tmp_path):
    *_, root = run
    path = root / 'a.tljax'
    out = f'--out={tmp_path}/b.tljax'
    for arguments, text in (
        (('export', f'--workdir={tmp_path}/no', out), 'holds no finished run'),
        (('export', f'--workdir={root}/run'), '--out is missing'),
        (('export', f'--workdir={root}/run', out, '--platforms=gpu'), '--platforms=gpu is unknown'),
        (('export', f'--workdir={root}/run', out, '--support=x'), 'not trained on episodes'),
        (('export', f'--model={path}', out), 'is an exported file: copy it'),
        (('predict', '--model=no.tljax', tmp_path), 'no.tljax does not exist'),
        (('predict', f'--model={path}', '--weights=a.h5', tmp_path), 'has all that it needs'),
        (
            ('features', f'--model={path}', f'--out={tmp_path}/b.csv', tmp_path),
            'is an exported file, which predicts',
        ),
    ):
        (tmp_path / 'a.png').write_bytes(b'')
        assert text in error(call(*arguments)), arguments


def test_a_network_that_counts_its_inputs_is_refused():
    def one(parameters, statistics, input):
        return {'output': input / sum(1 for _ in range(len(input)))}

    with pytest.raises(UserError, match='computes with the number of its inputs'):
        exporting._traced(one, {'a': np.zeros(1, 'f')}, {}, (3,), ('cpu',))


def test_a_depthwise_convolution_for_any_platform_is_the_plain_one():
    rng = np.random.default_rng(0)
    x, kernel = rng.normal(size=(3, 6, 6, 4)), rng.normal(size=(3, 3, 1, 4))

    def total(x, kernel, form=''):
        return (convolve(x, kernel, (2, 2), groups=4, form=form) ** 2).sum()

    (n,) = jax.export.symbolic_shape('n')
    shapes = jax.ShapeDtypeStruct((n, *x.shape[1:]), 'f'), jax.ShapeDtypeStruct(kernel.shape, 'f')
    export = jax.export.export(jax.jit(for_any(total)), platforms=('cpu', 'tpu'))(*shapes)
    call = jax.export.deserialize(export.serialize(vjp_order=1)).call
    x, kernel = x.astype('f'), kernel.astype('f')
    ours = jax.value_and_grad(call, (0, 1))(x, kernel)
    expected = jax.value_and_grad(lambda *xs: total(*xs, form='plain'), (0, 1))(x, kernel)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4), ours, expected
    )


@pytest.mark.slow
@pytest.mark.parametrize('family', FAMILIES)
def test_every_family_is_exported_with_its_derivative(family):
    net, size = getattr(zoo, FAMILIES[family])(), ROWS[FAMILIES[family]].size
    start = jax.ShapeDtypeStruct((1, size, size, 3), np.float32)
    params, state = jax.eval_shape(net.init, jax.random.key(0), start)
    (n,) = jax.export.symbolic_shape('n')
    inputs = jax.ShapeDtypeStruct((n, size, size, 3), np.float32)

    def features(params, state, input):
        return net.features(params, state, input)[0]['features']

    program = jax.export.export(jax.jit(for_any(features)), platforms=('cpu', 'cuda', 'tpu'))
    again = jax.export.deserialize(program(params, state, inputs).serialize(vjp_order=1))
    assert again.has_vjp() and len(again.out_avals) == 1


FRESH = """
import numpy as np, sys
import jax, jax.numpy as jnp
from exported import load
given = np.load('given.npz')
file = load('a.tljax')
assert 'tljax' not in sys.modules and 'flax' not in sys.modules
np.testing.assert_allclose(file.predict(given['inputs']), given['expected'], atol=1e-5)
def loss(parameters):
    logits = file.outputs(parameters, given['inputs'])
    label = given['label'][None, :, None]
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), label, 2).mean()
parameters, losses = file.parameters, []
for _ in range(10):
    value, gradient = jax.value_and_grad(loss)(parameters)
    parameters = jax.tree.map(lambda leaf, slope: leaf - 0.5 * slope, parameters, gradient)
    losses.append(float(value))
print('fell' if losses[-1] < 0.8 * losses[0] else losses)
"""


@pytest.mark.slow
def test_a_fresh_environment_of_jax_numpy_and_flatbuffers_predicts_and_trains(run, tmp_path):
    model, inputs, root = run
    subprocess.run([sys.executable, '-m', 'venv', tmp_path / 'venv'], check=True)
    python = tmp_path / 'venv/bin/python'
    packages = f'jax=={jax.__version__}', 'flatbuffers', f'numpy=={np.__version__}'
    install = [python, '-m', 'pip', 'install', '-q', *packages]
    done = subprocess.run(install, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f'pip reaches no index: {done.stderr.strip()[-200:]}')
    shutil.copy(exported.__file__, tmp_path)
    shutil.copy(root / 'a.tljax', tmp_path)
    np.savez(
        tmp_path / 'given.npz',
        inputs=inputs,
        expected=model.predict(inputs),
        label=np.arange(len(inputs)),
    )
    done = subprocess.run(
        [python, '-c', FRESH], cwd=tmp_path, capture_output=True, text=True, env={'PATH': ''}
    )
    assert done.stdout.strip() == 'fell', done.stderr


def test_python_predicts_from_a_file_as_the_command_does(run):
    model, inputs, root = run
    file = Trained(*models.model(ModelChoice({'name': str(root / 'a.tljax')})))
    np.testing.assert_allclose(file.predict(inputs), model.predict(inputs), atol=1e-6)
