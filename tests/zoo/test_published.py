"""Published weights, downloaded by name from a local server, and those that are refused."""

import functools
from importlib.util import find_spec
from pathlib import Path

import pytest
from keras_models import keras_model, write_legacy
from serving import Handler, serving

from tljax.core import UserError
from tljax.weights import pretrained
from tljax.zoo.table import KERAS, SOURCE
from tljax.zoo.weights import published

SPEC = {'name': 'mobilenet', 'alpha': 0.25}
server = pytest.fixture(serving)


def test_weights_by_name_are_those_of_the_network_or_refused(server, monkeypatch):
    folder, address = server
    monkeypatch.setattr(
        published, 'published', functools.partial(published.published, source=address)
    )
    model = keras_model('mobilenet', 32, {'alpha': 0.25})
    write_legacy(folder / 'mobilenet_2_5_128_tf.h5', model)
    params, _, record = pretrained(SPEC, 'imagenet:128')
    assert len(record['classes']) == 1000 and params['head']['kernel'].shape == (1, 256, 1000)
    pretrained(SPEC, 'imagenet:128', top=False)
    assert len(Handler.asked) == 1, 'the file with top serves without'
    write_legacy(
        folder / 'mobilenet_2_5_224_tf_no_top.h5',
        keras_model('mobilenet', 32, {'alpha': 0.5}, include_top=False),
    )
    (folder / 'mobilenet_2_5_160_tf.h5').write_bytes(
        (folder / 'mobilenet_2_5_128_tf.h5').read_bytes()[:-100_000]
    )
    for name, top, message in (
        ('imagenet', False, 'another network or width'),
        ('imagenet:160', True, 'cut off or damaged'),
        ('imagenet:192', True, 'mobilenet_2_5_192_tf.h5 is not there and cannot be fetched .404'),
        ('imagenet:100', True, 'no weights are published for mobilenet at size=100'),
    ):
        with pytest.raises(UserError, match=message) as error:
            pretrained(SPEC, name, top=top)
        assert '\n' not in str(error.value)
    assert sorted(
        path.name for path in published.cache_dir().glob('weights/*.h5*') if path.suffix != '.lock'
    ) == ['mobilenet_2_5_128_tf.h5', 'mobilenet_2_5_128_tf.h5.sha256']


def test_without_a_network_the_message_tells_what_to_put_where(tmp_path, monkeypatch):
    monkeypatch.setenv('TLJAX_CACHE', str(tmp_path))
    monkeypatch.setattr(
        published, 'published', functools.partial(published.published, source='http://127.0.0.1:9')
    )
    name = 'resnet50_weights_tf_dim_ordering_tf_kernels'
    for top, file in ((True, f'{name}.h5'), (False, f'{name}_notop.h5')):
        with pytest.raises(
            UserError,
            match=rf'{tmp_path}/weights/{file} is not there and cannot be '
            rf'fetched .*get .*/{file} elsewhere',
        ):
            pretrained({'name': 'resnet50'}, 'imagenet', top=top)


def test_addresses_and_checksums_are_keras_s():
    """Looks for every file name and every checksum in the text of Keras's own modules."""
    folder = Path(find_spec('keras.src.applications').origin).parent
    text = '\n'.join(path.read_text() for path in folder.glob('*.py'))
    assert SOURCE in text and published.CLASSES[1][4:] in text
    for name, row in KERAS.items():
        for md5 in row.md5:
            assert md5 in text, (name, md5)
        # Keras composes the names of other modules' files in code
        if row.module not in ('mobilenet', 'mobilenet_v2', 'resnet'):
            for top in (True, False):
                assert row.url(name, top).rsplit('/', 1)[1].replace(
                    f'{name}_weights_', ''
                ) in text.replace('"\n', ''), (name, top)
