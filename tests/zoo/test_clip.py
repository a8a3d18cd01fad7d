"""CLIP computes what open_clip computes, reads its weights by three names of each tensor, and
predicts classes that it was not trained on. `open_clip_reference.py` wrote open_clip's numbers."""

import json
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small_clip
from commands import call, error
from PIL import Image
from random_tensors import pictures
from safetensors.numpy import save_file
from tiny import tiny
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

from tljax import paths, zoo
from tljax.build import build
from tljax.core import UserError
from tljax.engine.checkpoint import load_final
from tljax.engine.train import fit
from tljax.weights import pretrained, read_weights
from tljax.zoo.families import clip
from tljax.zoo.table import ROWS
from tljax.zoo.weights import tensors, zero_shot
from tljax.zoo.weights.tokens import tokens, vocabulary_beside

ANSWERS = json.loads(Path(__file__).with_name('open_clip.json').read_text())
SPEC = {'name': 'clip_small'}
PROMPT = '--prompt=' + '|'.join(small_clip.PROMPTS)
CLASSES = '--classes=' + ', '.join(small_clip.CLASSES)


@pytest.fixture(scope='module', autouse=True)
def small():
    """The small CLIP, as a network with a name of its own."""
    row = ROWS['clip_vit_base_patch32']
    keywords = {
        'size': 'small',
        'patch': small_clip.PATCH,
        'trained': small_clip.SIDE,
        'activation': 'quick_gelu',
    }
    sizes = (small_clip.WIDTH, small_clip.DEPTH, small_clip.HEADS, small_clip.DIM)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(clip.SIZES, 'small', sizes)
        patch.setitem(ROWS, 'clip_small', row._replace(size=small_clip.SIDE, keywords=keywords))
        yield


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A folder of weights, vocabulary and pictures."""
    folder = tmp_path_factory.mktemp('clip')
    save(small_clip.tensors(), folder / 'model.safetensors')
    small_clip.write_vocabulary(folder)
    for name, picture in zip(('cat', 'dog'), small_clip.photographs(), strict=True):
        (folder / 'pictures' / name).mkdir(parents=True)
        Image.fromarray(picture).save(folder / 'pictures' / name / '1.png')
    return folder


@pytest.fixture(scope='module')
def loaded(folder):
    return tensors.load(folder / 'model.safetensors', zoo.clip_small(), small_clip.SIDE)


def save(arrays, path):
    save_file({name: np.array(array, order='C') for name, array in arrays.items()}, path)


def agree(ours, theirs):
    theirs = np.array(theirs)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-4 * np.abs(theirs).max())


def embedded(params, texts, activation='quick_gelu'):
    """Embeddings of texts by the tower with these parameters."""
    tower = clip.TextTower(
        len(small_clip.vocabulary()),
        small_clip.CONTEXT,
        small_clip.TEXT_WIDTH,
        small_clip.TEXT_DEPTH,
        small_clip.DIM,
        activation,
    )
    params = {name: leaf for name, leaf in params.items() if name != 'logit_scale'}
    return jax.jit(tower.apply)({'params': params}, texts.numbers, texts.ends)


def probabilities():
    """open_clip's, for the photographs."""
    return np.asarray(jax.nn.softmax(jnp.array(ANSWERS['zero_shot'])))


@pytest.mark.parametrize('size', list(ANSWERS['pictures']))
def test_embeddings_of_pictures_are_open_clip_s(loaded, size):
    net, params = zoo.clip_small(), loaded.params['backbone']
    x = pictures(*map(int, size.split('x')))
    taps, _ = jax.jit(net.features)(params, {}, x)
    assert {*taps} == {*net.groups, 'features'} and taps['features'].shape == (2, net.dim)
    agree(taps['features'], ANSWERS['pictures'][size])
    agree(
        taps['projection'] / np.linalg.norm(taps['projection'], axis=-1, keepdims=True),
        ANSWERS['pictures'][size],
    )


def test_embeddings_of_texts_are_open_clip_s_whatever_follows_an_end(loaded, folder):
    texts = tokens(vocabulary_beside(folder / 'model.safetensors'), small_clip.TEXTS)
    embeddings = embedded(loaded.text, texts)
    agree(embeddings, ANSWERS['texts'])
    last = small_clip.vocabulary().index('<|endoftext|>')
    after = np.arange(texts.numbers.shape[1]) > texts.ends[:, None]
    padded = texts._replace(numbers=np.where(after, last, texts.numbers))  # as transformers pads
    np.testing.assert_array_equal(embedded(loaded.text, padded), embeddings)


def test_the_exact_gelu_is_a_keyword(loaded, folder):
    net, params = zoo.clip_small(activation='gelu'), loaded.params['backbone']
    picture = jax.jit(net.features)(params, {}, pictures(32, 32)[:1])[0]['features']
    texts = tokens(vocabulary_beside(folder / 'model.safetensors'), small_clip.TEXTS[:1])
    agree(jnp.concatenate([picture, embedded(loaded.text, texts, 'gelu')]), ANSWERS['gelu'])
    with pytest.raises(UserError, match=r"net.activation='relu' is unknown: .*gelu"):
        zoo.clip(activation='relu')


def test_tokens_are_open_clip_s(folder, capsys):
    found = tokens(vocabulary_beside(folder / 'model.safetensors'), small_clip.TEXTS)
    assert '1 of 9 texts have more than 77 tokens, and are cut there' in capsys.readouterr().err
    expected = np.array(ANSWERS['tokens'])
    np.testing.assert_array_equal(found.numbers, expected[:, : found.numbers.shape[1]])
    np.testing.assert_array_equal(found.ends, expected.argmax(-1))  # where open_clip reads


def test_a_tokenizer_json_as_transformers_writes_it_has_the_same_tokens(folder, tmp_path):
    """Built as transformers' converter builds it, padding and truncation included."""
    path = [str(folder / name) for name in ('vocab.json', 'merges.txt')]
    tokenizer = Tokenizer(
        models.BPE.from_file(
            *path,
            continuing_subword_prefix='',
            end_of_word_suffix='</w>',
            fuse_unk=False,
            unk_token='<|endoftext|>',
        )
    )
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r'\s+'), ' '), normalizers.Lowercase()]
    )
    pattern = r"""'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"""
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), behavior='removed', invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    first, last = len(small_clip.vocabulary()) - 2, len(small_clip.vocabulary()) - 1
    tokenizer.post_processor = processors.RobertaProcessing(
        ('<|endoftext|>', last),
        ('<|startoftext|>', first),
        add_prefix_space=False,
        trim_offsets=False,
    )
    tokenizer.add_special_tokens(['<|startoftext|>', '<|endoftext|>'])
    tokenizer.enable_padding(length=99, pad_id=last, pad_token='<|endoftext|>')
    tokenizer.enable_truncation(20)
    tokenizer.save(str(tmp_path / 'tokenizer.json'))
    found = tokens(vocabulary_beside(tmp_path / 'model.safetensors'), small_clip.TEXTS)
    np.testing.assert_array_equal(
        found.numbers, np.array(ANSWERS['tokens'])[:, : found.numbers.shape[1]]
    )


def test_files_of_three_libraries_give_the_same_parameters(loaded, tmp_path):
    def same(ours, theirs):
        jax.tree.map(np.testing.assert_array_equal, ours, theirs)

    path, theirs = tmp_path / 'model.safetensors', small_clip.tensors()
    net, side = zoo.clip_small(), small_clip.SIDE
    save(small_clip.as_in_transformers(theirs), path)
    found = tensors.load(path, net, side)
    same((found.params, found.text), (loaded.params, loaded.text))
    save({f'module.{name}': array for name, array in theirs.items()}, path)
    found = tensors.load(path, net, side)
    same((found.params, found.text), (loaded.params, loaded.text))
    # timm has the tower for pictures alone, with a bias of zeros
    flat = paths.flatten(loaded.params['backbone'])
    names = {leaf: tensors.tensor_name(leaf) for leaf in flat}
    by_timm = {
        names[leaf].replace('projection', 'head'): tensors.as_in_flax(np.array(array), leaf, 2)
        if array.ndim == 2
        else array.transpose(3, 2, 0, 1)
        if array.ndim == 4
        else array
        for leaf, array in flat.items()
    }
    save({**by_timm, 'head.bias': np.zeros(small_clip.DIM, np.float32)}, path)
    found = tensors.load(path, net, side)
    same(found.params, loaded.params)
    assert found.text == {}
    with pytest.raises(UserError, match='has no tower for texts'):
        pretrained(SPEC, str(path), ['a', 'b'])


def test_files_that_do_not_fit_are_refused(tmp_path):
    path, net = tmp_path / 'model.safetensors', zoo.clip_small()
    right = small_clip.tensors()

    def refused(**changes):
        new = {name: array for name, array in {**right, **changes}.items() if array is not None}
        save(new, path)
        with pytest.raises(UserError) as caught:
            tensors.load(path, net, small_clip.SIDE)
        assert '\n' not in str(caught.value)
        return str(caught.value)

    block = 'transformer.resblocks.0.ln_1.weight'
    assert 'it lacks text.blocks.0.norm1.weight)' in refused(**{block: None})
    assert 'it lacks blocks.0.norm1.weight)' in refused(**{f'visual.{block}': None})
    assert 'it lacks text.logit_scale)' in refused(logit_scale=None)
    assert 'unasked for, logit_bias)' in refused(logit_bias=np.zeros(1, np.float32))
    wide = np.zeros((small_clip.WIDTH, 40), np.float32)
    assert 'projection.weight 128x40 for 128x32)' in refused(**{'visual.proj': wide})
    infinite = np.full(small_clip.TEXT_WIDTH, np.inf, np.float32)
    assert 'not finite at text.norm.bias)' in refused(**{'ln_final.bias': infinite})


def test_pictures_are_predicted_as_by_open_clip(folder, tmp_path):
    weights = ('--model=clip_small', f'--weights={folder}/model.safetensors', CLASSES, PROMPT)
    done = call('predict', *weights, '--json', folder / 'pictures')
    assert done.code == 0, done.err
    assert "each class as 'a photo of a {}', 'a drawing of the {}!' (--prompt)" in done.err
    for answer, expected in zip(json.loads(done.out), probabilities(), strict=True):
        found = dict(answer['top'])
        agree([found[name] for name in small_clip.CLASSES], expected)
    # a run of the same answers
    done = call('convert', *weights, f'--workdir={tmp_path}/run')
    assert done.code == 0, done.err
    _, _, record = load_final(tmp_path / 'run')
    assert record['config']['prompts'] == small_clip.PROMPTS
    done = call('predict', f'--workdir={tmp_path}/run', '--json', folder / 'pictures')
    for answer, expected in zip(json.loads(done.out), probabilities(), strict=True):
        agree(dict(answer['top'])['toy_box'], expected[2])
    done = call('evaluate', *weights, '--json', folder / 'pictures')
    top1 = np.mean(probabilities().argmax(-1) == [0, 1])
    assert json.loads(done.out)['top1'] == pytest.approx(top1), done.err


@pytest.mark.slow
def test_the_head_is_fine_tuned_from_where_it_stands(folder, tmp_path):
    weights = ('--model=clip_small', f'--weights={folder}/model.safetensors', '--classes=cat,dog')
    done = call('convert', *weights, f'--workdir={tmp_path}/run')
    assert done.code == 0, done.err
    params, _, _ = load_final(tmp_path / 'run')
    for name in ('cat', 'dog'):
        (tmp_path / 'data' / name).mkdir(parents=True)
        for i in range(10):
            shade = Image.new('RGB', (32, 32), (20 * i, 99, 200 if name == 'cat' else 50))
            shade.save(tmp_path / 'data' / name / f'{i}.png')
    settings = tiny(
        {
            'data': {'name': 'folder', 'path': str(tmp_path / 'data'), 'size': 32},
            'net': SPEC,
            'init': {'path': str(tmp_path / 'run'), 'rules': [['.*', None]]},
            'partition': {'name': 'freeze', 'until': 'projection'},
            'cache': True,
            'steps': 2,
            'optim': {'lr': 1e-5},
        }
    )
    fit(build(settings), tmp_path / 'fit')
    tuned, _, record = load_final(tmp_path / 'fit')
    assert record['classes'] == ['cat', 'dog']
    jax.tree.map(np.testing.assert_array_equal, tuned['backbone'], params['backbone'])
    moved = np.abs(tuned['head']['kernel'] - params['head']['kernel']).max()
    assert 0 < moved < 1e-4  # Adam moves by the rate at most, for two steps


def test_the_backbone_alone_needs_no_vocabulary(folder, tmp_path):
    save(small_clip.tensors(), tmp_path / 'model.safetensors')
    params, _ = read_weights(zoo.clip_small(), str(tmp_path / 'model.safetensors'), top=False)
    assert list(params) == ['backbone']
    with pytest.raises(UserError, match=r'no linear head .*made of the names of classes'):
        read_weights(zoo.clip_small(), str(tmp_path / 'model.safetensors'))


def test_class_names_beside_the_weights_are_used(folder, tmp_path):
    save(small_clip.tensors(), tmp_path / 'model.safetensors')
    small_clip.write_vocabulary(tmp_path)
    (tmp_path / 'labels.txt').write_text('cat\ndog\n')
    done = call(
        'predict',
        '--model=clip_small',
        f'--weights={tmp_path}/model.safetensors',
        '--json',
        folder / 'pictures',
    )
    assert done.code == 0 and "'a photo of a {}.' (--prompt)" in done.err, done.err
    assert {name for name, _ in json.loads(done.out)[0]['top']} == {'cat', 'dog'}


def test_requests_that_cannot_be_served_are_one_line(folder, tmp_path, monkeypatch):
    path = folder / 'model.safetensors'
    save(small_clip.tensors(), alone := tmp_path / 'model.safetensors')

    def refused(*arguments, weights=path, model='clip_small'):
        names = (f'--model={model}', f'--weights={weights}')
        return error(call('predict', *names, *arguments, folder / 'pictures'))

    assert 'made of the names of classes: --classes' in refused()
    assert "none are named: give --classes='ant,bee'" in refused('--prompt=a {}')
    assert "--prompt='a photo' has no {}" in refused('--classes=a,b', '--prompt=a {}|a photo')
    text = refused('--prompt=a {}', '--classes=a,b', model='convnext_tiny')
    assert 'convnext_tiny reads no texts: leave it out' in text
    assert 'a comma without a name' in refused('--classes=a,,b')
    assert 'the class a stands twice' in refused('--classes=a,b,a')
    done = call('predict', '--workdir=runs/none', '--prompt=a {}', folder / 'pictures')
    assert 'a run has its own: leave it out' in error(done)
    assert 'has no tokenizer.json, nor vocab.json and merges.txt' in refused(
        '--classes=a,b', weights=alone
    )
    (tmp_path / 'tokenizer.json').write_text('{"model": ')
    assert 'tokenizer.json is damaged (' in refused('--classes=a,b', weights=alone)
    Tokenizer(models.BPE({'a': 0}, [])).save(str(tmp_path / 'tokenizer.json'))
    assert 'vocabulary of another network' in refused('--classes=a,b', weights=alone)
    ends = ['<|startoftext|>', '<|endoftext|>']
    large = {
        **{f'{i}</w>': i for i in range(700)},
        **{name: 700 + i for i, name in enumerate(ends)},
    }
    (tmp_path / 'tokenizer.json').unlink()
    (tmp_path / 'vocab.json').write_text(json.dumps(large))
    (tmp_path / 'merges.txt').write_text('#version: 0.2\n')
    assert 'tokens that its tower for texts has not (' in refused('--classes=1,2', weights=alone)
    monkeypatch.setitem(sys.modules, 'tokenizers', None)
    assert 'python -m pip install tokenizers' in refused('--classes=a,b')


def test_prompts_are_averaged_at_length_one(folder, loaded):
    """A head of two prompts is the normalised mean of two heads of one."""
    path, prompts = folder / 'model.safetensors', small_clip.PROMPTS
    both = zero_shot.head(loaded.text, small_clip.CLASSES, path, prompts)
    single = [
        zero_shot.head(loaded.text, small_clip.CLASSES, path, [prompt])['kernel']
        for prompt in prompts
    ]
    mean = sum(single) / 2
    np.testing.assert_allclose(
        both['kernel'], 20 * mean / np.linalg.norm(mean, axis=0), rtol=1e-4, atol=1e-4
    )
    assert np.linalg.norm(single[0], axis=0) == pytest.approx([20] * 3, rel=1e-5)


def test_more_texts_than_are_embedded_at_a_time(folder, loaded, monkeypatch):
    path = folder / 'model.safetensors'
    names = [f'cat {i}' for i in range(5)]
    whole = zero_shot.head(loaded.text, names, path)
    monkeypatch.setattr(zero_shot, 'TEXTS', 2)
    np.testing.assert_allclose(
        zero_shot.head(loaded.text, names, path)['kernel'], whole['kernel'], atol=1e-4
    )
