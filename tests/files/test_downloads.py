"""Downloads from a server on this machine: fetched once, resumed, checked."""

import hashlib

import pytest
from serving import Handler, serving

from tljax.core import UserError
from tljax.files.downloads import fetch

server = pytest.fixture(serving)


def test_a_file_is_fetched_once_and_a_broken_download_goes_on(server, tmp_path, monkeypatch):
    folder, address = server
    content = bytes(range(256)) * 20_000
    (folder / 'a.bin').write_bytes(content)
    checksum, cache = 'md5:' + hashlib.md5(content).hexdigest(), tmp_path / 'cache'
    monkeypatch.setattr(Handler, 'cut', 3_000_000)
    with pytest.raises(UserError, match=r'a\.bin is not there and cannot be fetched'):
        fetch(f'{address}/a.bin', cache, checksum)
    part = (cache / 'a.bin.part').stat().st_size
    assert 0 < part <= 3_000_000 and not (cache / 'a.bin').exists()
    monkeypatch.setattr(Handler, 'cut', None)
    assert fetch(f'{address}/a.bin', cache, checksum).read_bytes() == content
    fetch(f'{address}/a.bin', cache, checksum)
    assert Handler.asked == [0, part], 'from where it broke off, and never again'
    assert not (cache / 'a.bin.part').exists()


def test_a_wrong_checksum_replaces_nothing(server, tmp_path):
    folder, address = server
    (folder / 'a.bin').write_bytes(b'wrong')
    (tmp_path / 'cache').mkdir()
    (tmp_path / 'cache' / 'a.bin').write_bytes(b'old')
    with pytest.raises(UserError, match='another checksum than the one published'):
        fetch(f'{address}/a.bin', tmp_path / 'cache', 'md5:' + hashlib.md5(b'right').hexdigest())
    assert (tmp_path / 'cache' / 'a.bin').read_bytes() == b'old'


def test_a_file_without_a_published_checksum_is_known_by_its_first(server, tmp_path, capfd):
    folder, address = server
    (folder / 'a.bin').write_bytes(b'first')
    path = fetch(f'{address}/a.bin', tmp_path / 'cache')
    assert hashlib.sha256(b'first').hexdigest() in capfd.readouterr().err
    path.write_bytes(b'second')
    with pytest.raises(UserError, match='is not what was first fetched'):
        fetch(f'{address}/a.bin', tmp_path / 'cache')
