"""Weights by name, from a server on this machine: fetched once, resumed, checked, refused."""
import functools
import hashlib
import http.server
import re
import threading
from importlib.util import find_spec
from pathlib import Path

import pytest
from test_zoo import keras_model, write_legacy

from tljax.core import Refused
from tljax.features import pretrained
from tljax.files.downloads import fetch
from tljax.zoo.table import ROWS, SOURCE
from tljax.zoo.weights import published

SPEC = {'name': 'mobilenet', 'alpha': .25}


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves ranges, as the real source does; `cut` bytes into an answer the line breaks."""
    cut, asked = None, []

    def do_GET(self):
        try:
            content = Path(self.translate_path(self.path)).read_bytes()
        except OSError:
            return self.send_error(404)
        first = int(re.match(r'bytes=(\d+)-', self.headers['Range'])[1])
        self.asked.append(first)
        if first >= len(content):
            return self.send_error(416)
        self.send_response(206)
        self.send_header('Content-Length', len(content) - first)
        self.end_headers()
        self.wfile.write(content[first:][:Handler.cut])

    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv('TLJAX_CACHE', str(tmp_path / 'cache'))
    monkeypatch.setattr(Handler, 'cut', None)
    monkeypatch.setattr(Handler, 'asked', [])
    (tmp_path / 'served').mkdir()
    httpd = http.server.ThreadingHTTPServer(('127.0.0.1', 0), functools.partial(Handler, directory=str(tmp_path / 'served')))
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield tmp_path / 'served', f'http://127.0.0.1:{httpd.server_port}'
    httpd.shutdown()


def test_a_file_is_fetched_once_and_a_broken_download_goes_on(server, tmp_path, monkeypatch):
    served, address = server
    content = bytes(range(256)) * 20_000
    (served / 'a.bin').write_bytes(content)
    known, cache = 'md5:' + hashlib.md5(content).hexdigest(), tmp_path / 'cache'
    monkeypatch.setattr(Handler, 'cut', 3_000_000)
    with pytest.raises(Refused, match=r'a\.bin is not there and cannot be fetched'):
        fetch(f'{address}/a.bin', cache, known)
    part = (cache / 'a.bin.part').stat().st_size
    assert 0 < part <= 3_000_000 and not (cache / 'a.bin').exists()
    monkeypatch.setattr(Handler, 'cut', None)
    assert fetch(f'{address}/a.bin', cache, known).read_bytes() == content
    fetch(f'{address}/a.bin', cache, known)
    assert Handler.asked == [0, part], 'from where it broke off, and never again'
    assert not (cache / 'a.bin.part').exists()


def test_a_wrong_checksum_replaces_nothing(server, tmp_path):
    served, address = server
    (served / 'a.bin').write_bytes(b'wrong')
    (tmp_path / 'cache').mkdir()
    (tmp_path / 'cache' / 'a.bin').write_bytes(b'old')
    with pytest.raises(Refused, match='another checksum than the one published'):
        fetch(f'{address}/a.bin', tmp_path / 'cache', 'md5:' + hashlib.md5(b'right').hexdigest())
    assert (tmp_path / 'cache' / 'a.bin').read_bytes() == b'old'


def test_a_file_without_a_published_checksum_is_known_by_its_first(server, tmp_path, capfd):
    served, address = server
    (served / 'a.bin').write_bytes(b'first')
    path = fetch(f'{address}/a.bin', tmp_path / 'cache')
    assert hashlib.sha256(b'first').hexdigest() in capfd.readouterr().err
    path.write_bytes(b'second')
    with pytest.raises(Refused, match='is not what was first fetched'):
        fetch(f'{address}/a.bin', tmp_path / 'cache')


def test_weights_by_name_are_those_of_the_network_or_refused(server, monkeypatch):
    served, address = server
    monkeypatch.setattr(published, 'published', functools.partial(published.published, source=address))
    right = keras_model('mobilenet', 32, {'alpha': .25})
    write_legacy(served / 'mobilenet_2_5_128_tf.h5', right)
    params, _, record = pretrained(SPEC, 'imagenet:128')
    assert len(record['classes']) == 1000 and params['head']['kernel'].shape == (1, 256, 1000)
    pretrained(SPEC, 'imagenet:128', top=False)
    assert len(Handler.asked) == 1, 'the file with top serves without'
    write_legacy(served / 'mobilenet_2_5_224_tf_no_top.h5', keras_model('mobilenet', 32, {'alpha': .5}, include_top=False))
    (served / 'mobilenet_2_5_160_tf.h5').write_bytes((served / 'mobilenet_2_5_128_tf.h5').read_bytes()[:-100_000])
    for name, top, said in (('imagenet', False, 'another network or width'), ('imagenet:160', True, 'cut off or damaged'),
                            ('imagenet:192', True, 'mobilenet_2_5_192_tf.h5 is not there and cannot be fetched .404'),
                            ('imagenet:100', True, 'no weights are published for mobilenet at size=100')):
        with pytest.raises(Refused, match=said) as refused:
            pretrained(SPEC, name, top=top)
        assert '\n' not in str(refused.value)
    assert sorted(path.name for path in published.cache_dir().glob('weights/*.h5*') if path.suffix != '.lock') == [
        'mobilenet_2_5_128_tf.h5', 'mobilenet_2_5_128_tf.h5.sha256']


def test_without_a_network_the_message_tells_what_to_put_where(tmp_path, monkeypatch):
    monkeypatch.setenv('TLJAX_CACHE', str(tmp_path))
    monkeypatch.setattr(published, 'published', functools.partial(published.published, source='http://127.0.0.1:9'))
    name = 'resnet50_weights_tf_dim_ordering_tf_kernels'
    for top, file in ((True, f'{name}.h5'), (False, f'{name}_notop.h5')):
        with pytest.raises(Refused, match=rf'{tmp_path}/weights/{file} is not there and cannot be fetched .*get .*/{file} elsewhere'):
            pretrained({'name': 'resnet50'}, 'imagenet', top=top)


def test_addresses_and_checksums_are_keras_s():
    """Against the text of Keras's own modules: every address that it composes and every checksum that it states."""
    folder = Path(find_spec('keras.src.applications').origin).parent
    text = '\n'.join(path.read_text() for path in folder.glob('*.py'))
    assert SOURCE in text and published.CLASSES[1][4:] in text
    for name, row in ROWS.items():
        for md5 in row.md5:
            assert md5 in text, (name, md5)
        if row.module not in ('mobilenet', 'mobilenet_v2', 'resnet'):   # those compose their files' names
            for top in (True, False):
                assert row.url(name, top).rsplit('/', 1)[1].replace(f'{name}_weights_', '') in text.replace('"\n', ''), (name, top)
