"""Texts as TF-IDF: the words that they have, weighted by how rare a word is, and, where wanted,
their sequences of letters."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import FeatureUnion

from tljax.core import Dataset, UserError


def tfidf(
    splits: dict[str, Dataset], words: int | None = 2000, letters: Sequence[int] | None = None
) -> dict[str, Dataset]:
    """Turns texts into TF-IDF vectors (d,), float32 of length 1.

    Words and their frequencies are those of the training texts alone; of `domains`, of the
    training texts of both.

    Args:
        splits: splits of texts, or of `domains` of texts.
        words: largest number of words d, the most frequent ones; None for all.
        letters: (shortest, longest) for sequences of letters of these lengths beside the words,
            `words` of them at most; None for words alone. Words with one stem have sequences in
            common. Both kinds count the same.

    Returns:
        The splits, with the names that they had.

    Raises:
        UserError: the inputs are no texts, no text has a word, or `letters` are no two lengths.

    Source: scikit-learn's `TfidfVectorizer`, in lower case, with words of two letters or more.

    >>> from tljax.data import texts
    >>> train = texts(['win a prize', 'see you'], [1, 0], ('ham', 'spam'))
    >>> other = texts(['win win a car'], [1], ('ham', 'spam'))
    >>> splits = tfidf({'train': train, 'test': other})
    >>> splits['test'].take(np.array([0]))['input'].tolist()  # prize, see, win, you
    [[0.0, 0.0, 1.0, 0.0]]
    """
    train = splits['train']
    training = [_texts(split) for split in (train, train.target) if split]
    vectorizer = fitted_vectorizer(np.concatenate(training), words, letters)
    key = repr((train.fingerprint, train.target and train.target.fingerprint, words))
    key += '' if letters is None else repr(tuple(letters))
    return {name: _vectors(split, vectorizer, key) for name, split in splits.items()}


def fitted_vectorizer(
    training: np.ndarray, words: int | None, letters: Sequence[int] | None = None
) -> TfidfVectorizer | FeatureUnion:
    """Returns a vectoriser that has the words of some texts.

    Args:
        training: the texts, (n,).
        words: largest number of words, the most frequent ones; None for all.
        letters: as `tfidf` takes them. A word begins and ends with a space, which is a letter.

    Raises:
        UserError: the inputs are no texts, no text has a word, `words` is below 1, or `letters` are
            no two lengths.

    >>> list(fitted_vectorizer(np.array(['see you', 'see me']), 1).get_feature_names_out())
    ['see']
    """
    if words is not None and words < 1:
        raise UserError(f'words={words}: give a whole number of 1 or more')
    if training.dtype.kind not in 'OU':
        raise UserError(f'inputs are {training.dtype}, not texts: TF-IDF needs texts')
    vectorizer = TfidfVectorizer(max_features=words)
    if letters is not None:
        if len(letters) != 2 or not 1 <= letters[0] <= letters[1]:
            raise UserError(f'letters={letters}: give the shortest and the longest length, 1 up')
        of_letters = TfidfVectorizer(
            max_features=words, analyzer='char_wb', ngram_range=tuple(letters)
        )
        kinds = [('words', vectorizer), ('letters', of_letters)]
        vectorizer = FeatureUnion(kinds, transformer_weights=dict.fromkeys(dict(kinds), 0.5**0.5))
    try:
        return vectorizer.fit(training)
    except ValueError as error:  # an empty vocabulary
        raise UserError(f'{len(training)} texts have no word of two letters: {error}') from error


def _texts(split: Dataset) -> np.ndarray:
    return np.asarray(split.take(np.arange(split.size))['input'])


def _vectors(split: Dataset, vectorizer: TfidfVectorizer | FeatureUnion, key: str) -> Dataset:
    """A split, and its target's, with vectors for texts."""
    vectors: Any = vectorizer.transform(_texts(split)).astype(np.float32)  # a sparse matrix

    def take(index):
        return {'input': vectors[index].toarray(), 'label': split.label[index]}

    digest = hashlib.sha256(f'{split.fingerprint} {key}'.encode()).hexdigest()
    target = split.target and _vectors(split.target, vectorizer, key)
    return split._replace(take=take, fingerprint=digest, target=target)
