"""Texts: readers of newsgroups and text messages, and TF-IDF by hand."""

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from tiny_sets import refused, sizes

import tljax
from tljax.core import UserError
from tljax.data import domains, newsgroups, sms_spam, texts, tfidf

real = pytest.mark.skipif(
    'TLJAX_DATA' not in os.environ, reason='TLJAX_DATA is not set: real data sets are not at hand'
)
POST = 'Path: a!b\r\nNewsgroups: {group}\r\n\r\nThe body of {number}.\r\n\r\n-- \r\nsignature \xe9'
GROUPS = ('rec.autos', 'rec.sport.hockey', 'sci.space')


@pytest.fixture
def posts(tmp_path):
    """A ZIP of three groups of ten posts."""
    path = tmp_path / 'mini.zip'
    with zipfile.ZipFile(path, 'w') as file:
        for group in GROUPS:
            for number in range(10):
                text = POST.format(group=group, number=number).encode('latin-1')
                file.writestr(f'mini/{group}/{number}', text)
    return path


@pytest.fixture
def messages(tmp_path):
    path = tmp_path / 'SMSSpamCollection'
    lines = [f'ham\tsee you at {i}' for i in range(8)] + [f'ham\tI\tcalled {i}' for i in range(6)]
    lines += [f'spam\tCALL {i} now' for i in range(6)] + [
        f'spam\tprize recalled {i}' for i in range(4)
    ]
    path.write_text('Label\tSMS\n' + '\n'.join(lines) + '\n', encoding='utf-8')
    return path


def inputs(split):
    return split.take(np.arange(split.size))['input'].tolist()


def test_newsgroups_are_read_without_their_headers(posts):
    splits = newsgroups(posts)
    assert sizes(splits) == {'train': 21, 'validation': 3, 'test': 6}
    assert splits['train'].classes == GROUPS
    for split in splits.values():
        for text, label, name in zip(inputs(split), split.label, split.names, strict=True):
            group, number = name.rsplit('/', 1)
            assert text == f'The body of {number}.\n\n-- \nsignature \xe9'
            assert GROUPS[label] == group
    names = np.concatenate([split.names for split in splits.values()])
    assert len(set(names)) == 30


def test_groups_make_classes(posts, tmp_path):
    with zipfile.ZipFile(posts) as file:
        file.extractall(tmp_path)
    classes = {'sci': ['sci.space'], 'rec': ['rec.autos', 'rec.sport.hockey']}
    splits = newsgroups(tmp_path / 'mini', classes)
    assert splits['train'].classes == ('rec', 'sci')
    assert np.bincount(splits['train'].label).tolist() == [14, 7]
    refused(
        lambda: newsgroups(posts, {'a': ['rec.autos'], 'b': ['rec.hockey']}),
        "has no 'rec.hockey': did you mean rec.sport.hockey?",
    )
    refused(
        lambda: newsgroups(posts, {'a': ['sci.space'], 'b': ['sci.space']}), "'sci.space' twice"
    )
    refused(lambda: newsgroups(tmp_path / 'nowhere'), 'nowhere is no folder and no archive')
    (tmp_path / 'empty').mkdir()
    refused(lambda: newsgroups(tmp_path / 'empty'), 'has no folders of newsgroups, such as rec.')


def test_messages_and_their_parts(messages):
    counts = {}
    for part in ('all', 'calls', 'others'):
        splits = sms_spam(messages, part)
        rows = [row for split in splits.values() for row in inputs(split)]
        label = np.concatenate([split.label for split in splits.values()])
        counts[part] = np.bincount(label).tolist()
        assert all(
            ('call' in row.lower() and 'recalled' not in row) == (part == 'calls') for row in rows
        ) or (part == 'all')
    assert counts == {'all': [14, 10], 'calls': [6, 6], 'others': [8, 4]}
    assert 'I\tcalled 3' in [row for split in sms_spam(messages).values() for row in inputs(split)]
    refused(
        lambda: sms_spam(messages, 'texts'), "data.part='texts' is not one of all, calls, others"
    )
    refused(lambda: sms_spam(messages.parent), 'does not exist: give data.path the file SMSSpam')
    for content in (b'', b'spam and ham\n' * 3, b'ham\tok\nspam\n\xff\xfe'):
        messages.write_bytes(content)
        refused(lambda: sms_spam(messages), 'SMSSpamCollection cannot be read', 'copy it again')


def test_tf_idf_by_hand_and_of_the_training_texts_alone():
    train = texts(['a red car', 'red sun', 'red red moon'], [0, 1, 1], ('car', 'sky'))
    test = texts(['moon car planet'], [1], ('car', 'sky'))
    splits = tfidf({'train': train, 'test': test})
    # car, moon, red, sun; inverse document frequency 1 + log((1 + n) / (1 + count))
    rare, common = 1 + np.log(4 / 2), 1 + np.log(4 / 4)
    found = splits['train'].take(np.array([2]))['input'][0]
    row = np.array([0, rare, 2 * common, 0])
    np.testing.assert_allclose(found, row / np.linalg.norm(row), 1e-6)
    assert found.dtype == np.float32
    other = splits['test'].take(np.array([0]))['input'][0]
    np.testing.assert_allclose(other, [0.5**0.5, 0.5**0.5, 0, 0], 1e-6)
    changed = texts(['planet planet'], [1], ('car', 'sky'))
    again = tfidf({'train': train, 'test': changed})
    np.testing.assert_array_equal(
        again['train'].take(np.arange(3))['input'], splits['train'].take(np.arange(3))['input']
    )
    assert again['train'].fingerprint == splits['train'].fingerprint
    assert (
        tfidf({'train': train}, words=1)['train'].take(np.arange(3))['input'].tolist() == [[1]] * 3
    )


def test_two_domains_of_texts_share_their_words():
    source, target = (
        {'train': texts([word, 'both'] * 2, [0, 1] * 2, 'ab'), 'test': texts([word], [0], 'ab')}
        for word in ('red', 'blue')
    )
    splits = tfidf(domains(source, target))
    assert splits['train'].target is not None
    blue, red = (splits[name].take(np.array([0]))['input'] for name in ('target', 'train'))
    assert (blue.tolist(), red.tolist()) == ([[1, 0, 0]], [[0, 0, 1]])  # blue, both, red
    np.testing.assert_array_equal(splits['train'].target.take(np.array([0]))['input'], blue)


def test_texts_are_known_by_their_content():
    one, same, other = (texts([word, 'b'], [0, 1], 'ab') for word in ('a', 'a', 'c'))
    assert one.fingerprint == same.fingerprint != other.fingerprint
    assert texts(['a', 'b'], ['y', 'x'], ('x', 'y')).label.tolist() == [1, 0]
    with pytest.raises(UserError, match='input 1 is of type int: give texts'):
        texts(['a', 1], [0, 1], 'ab')


def test_what_is_no_text_is_told(tmp_path):
    numbers = tljax.data.arrays(np.eye(2), [0, 1], ('a', 'b'))
    refused(lambda: tfidf({'train': numbers}), 'inputs are float64, not texts')
    silent = texts(['! ?', '.'], [0, 1], ('a', 'b'))
    refused(lambda: tfidf({'train': silent}), '2 texts have no word of two letters')
    refused(lambda: tfidf({'train': silent}, words=0), 'words=0: give a whole number of 1 or more')
    plain = texts(['red', 'blue'] * 8, [0, 1] * 8, ('a', 'b'))
    splits = {'train': plain, 'test': plain}
    refused(
        lambda: tljax.train(splits, 'mlp', workdir=tmp_path),
        "inputs are texts, and networks take numbers: lay dict(name='tfidf', of=...) around",
    )


@real
def test_real_newsgroups_and_messages():
    data = Path(os.environ['TLJAX_DATA'])
    splits = newsgroups(data / 'mini_newsgroups' / 'mini_newsgroups.zip')
    assert sizes(splits) == {'train': 1400, 'validation': 200, 'test': 400}
    assert not any('Newsgroups: ' in text[:300] for text in inputs(splits['test'])[:50])
    counts = {}
    for part in ('all', 'calls', 'others'):
        splits = sms_spam(data / 'sms_spam' / 'SMSSpamCollection', part)
        label = np.concatenate([split.label for split in splits.values()])
        counts[part] = np.bincount(label).tolist()
    assert counts == {'all': [4827, 747], 'calls': [283, 345], 'others': [4544, 402]}


def test_letters_beside_words():
    train = texts(['Ab', 'abc'], [0, 1], ('car', 'sky'))
    splits = tfidf({'train': train}, letters=(2, 2))
    # words ab, abc; letters ' a', 'ab', 'b ' of the first, ' a', 'ab', 'bc', 'c ' of the second
    rare = 1 + np.log(3 / 2)
    letters = np.array([[1, 1, rare, 0, 0], [1, 1, 0, rare, rare]])
    letters /= np.linalg.norm(letters, axis=1, keepdims=True)
    expected = np.concatenate([np.eye(2), letters], axis=1) / 2**0.5
    found = splits['train'].take(np.arange(2))['input']
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert splits['train'].fingerprint != tfidf({'train': train})['train'].fingerprint
    for letters in ((3,), (0, 2), (3, 2)):
        refused(lambda letters=letters: tfidf({'train': train}, letters=letters), 'letters=')
