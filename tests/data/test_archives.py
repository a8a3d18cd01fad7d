"""Members of ZIP and tar archives: what is left out, and what is damaged."""

import gzip
import tarfile
import zipfile

import numpy as np
import pytest
from trees import everything, pixels, sizes, tarred, tree, zipped

from tljax.core import UserError
from tljax.data import archives
from tljax.data.finding import find
from tljax.data.formats.folder import folder


def test_members_that_lead_out_of_a_tar_are_left_out_and_counted(tmp_path):
    tarred(tree(tmp_path / 'set'), tmp_path / 'a.tar')
    kinds = {
        '../x.png': tarfile.REGTYPE,
        '/etc/x.png': tarfile.REGTYPE,
        'cat/link.png': tarfile.SYMTYPE,
        'cat/hard.png': tarfile.LNKTYPE,
        'cat/device.png': tarfile.CHRTYPE,
        'cat/pipe.png': tarfile.FIFOTYPE,
    }
    with tarfile.open(tmp_path / 'a.tar', 'a') as archive:
        for name, kind in kinds.items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, '/etc/passwd'
            archive.addfile(member)
    train = folder(tmp_path / 'a.tar', size=6)['train']
    assert '6 members of the archive left out: links, devices or paths that lead out of it' in (
        train.notes
    )
    assert len(find([tmp_path / 'a.tar'])) == 20
    # nothing was unpacked
    assert sorted(path.name for path in tmp_path.iterdir()) == ['a.tar', 'set']


def test_a_zip_of_windows_and_one_that_leads_out(tmp_path):
    with zipfile.ZipFile(tmp_path / 'a.zip', 'w') as archive:
        for path in sorted(tree(tmp_path / 'set').rglob('*.png')):
            archive.writestr(f'{path.parent.name}\\{path.name}', path.read_bytes())
        archive.writestr('../out.png', b'')
        archive.writestr('C:/out.png', b'')
    splits = folder(tmp_path / 'a.zip', size=6)
    assert splits['train'].classes == ('cat', 'dog')
    assert sizes(splits) == {'train': 14, 'validation': 2, 'test': 4}
    assert any(
        note.startswith('2 members of the archive left out') for note in splits['train'].notes
    )


@pytest.mark.parametrize(
    'damage, message',
    [
        (lambda data: data[: len(data) // 2], 'a.tar is no tar archive or a damaged one'),
        (
            lambda data: data[: data.index(b'dog/05.png') - 2],
            'a.tar is no tar archive or a damaged one',
        ),
        (
            lambda data: data.replace(b'dog/05.png', b'dog/55.png'),
            'a.tar is no tar archive or a damaged one .*bad checksum',
        ),
        (lambda data: data[:600], 'a.tar is no folder, ZIP, tar'),
        (
            lambda data: gzip.compress(data)[:-2000],
            'a.tar is no tar archive or a damaged one .Compressed file ended',
        ),
        (lambda data: gzip.compress(b'words' * 200), 'a.tar is no tar archive or a damaged one'),
        (lambda data: b'BZh9' + data, 'a.tar is no tar archive or a damaged one'),
        (lambda data: b'PK' + data, 'a.tar is no ZIP or a damaged one'),
    ],
)
def test_damaged_archives_are_refused(tmp_path, damage, message):
    data = tarred(tree(tmp_path / 'set'), tmp_path / 'a.tar').read_bytes()
    (tmp_path / 'a.tar').write_bytes(damage(data))
    with pytest.raises(UserError, match=message):
        folder(tmp_path / 'a.tar', size=6)


def test_what_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    path = tarred(tree(tmp_path / 'set'), tmp_path / 'a.tgz', 'w:gz')
    monkeypatch.setattr(archives, 'TAR_LIMIT', 30_000)
    with pytest.raises(UserError, match='unpacks to more than 30,000 bytes: unpack it .tar -xf'):
        folder(path, size=6)
    monkeypatch.setattr(archives, 'FILE_LIMIT', 100)
    for place in (tmp_path / 'set', tarred(tmp_path / 'set', tmp_path / 'b.tar')):
        with pytest.raises(UserError, match='20 of 20 pictures of .* cannot be read'):
            folder(place, size=6)


def test_a_member_that_declares_gigabytes_is_not_unpacked(tmp_path):
    with zipfile.ZipFile(tmp_path / 'a.zip', 'w') as archive:
        archive.writestr('cat/1.png', b'x')
    files, _ = archives.archive(tmp_path / 'a.zip')
    large = files['cat/1.png']._replace(size=2**40, start=lambda limit: pytest.fail('it was read'))
    with pytest.raises(UserError, match='cat/1.png has 1,099,511,627,776 bytes, more than'):
        large.read()


@pytest.mark.parametrize('mode', ['w', 'w:gz'])
def test_members_of_a_tar_are_what_was_packed(tmp_path, mode):
    for split in folder(tarred(tree(tmp_path / 'set'), tmp_path / 'a.tar', mode), size=6).values():
        for image, name in zip(everything(split)['input'], split.names, strict=True):
            seed = 100 * name.startswith('dog') + int(name[4:6])
            np.testing.assert_array_equal(image, pixels(seed) / np.float32(255))


@pytest.mark.parametrize(
    'make',
    [zipped, tarred, lambda root, path: tarred(root, path, 'w:gz')],
    ids=['zip', 'tar', 'gz'],
)
def test_damage_anywhere_is_told_in_a_line(tmp_path, make):
    path, rng, told = tmp_path / 'a', np.random.default_rng(0), 0
    data = make(tree(tmp_path / 'set', count=3), path).read_bytes()
    for _ in range(60):
        changed = bytearray(data)
        for place in rng.integers(0, len(data), 8):
            changed[place] = rng.integers(256)
        path.write_bytes(changed)
        try:
            for split in folder(path, size=6).values():
                everything(split)
        except UserError as refused:
            told += 1
            assert '\n' not in str(refused)
    assert told


def test_tars_of_one_time_and_size_are_told_apart(tmp_path):
    """Members may have any time, and have no checksum: the archive's own stamp tells another
    one."""
    import io
    import os
    import tarfile

    from tljax.data import folder

    found = []
    for shade in (b'\0', b'\xff'):
        with tarfile.open(tmp_path / 'a.tar', 'w') as archive:
            for name in ('ants', 'bees'):
                for i in range(4):
                    content = b'P5 8 8 255\n' + shade * 64
                    told = tarfile.TarInfo(f'{name}/{i}.pgm')
                    told.size = len(content)
                    archive.addfile(told, io.BytesIO(content))
        os.utime(tmp_path / 'a.tar', ns=(0, 10**9 * len(found)))
        found.append(folder(tmp_path / 'a.tar', size=8)['train'].fingerprint)
    assert found[0] != found[1]
