"""Texts as TF-IDF: the words that they have, weighted by how rare a word is."""

import hashlib

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from tljax.core import Dataset, UserError


def tfidf(splits: dict[str, Dataset], words: int | None = 2000) -> dict[str, Dataset]:
    """Turns texts into TF-IDF vectors (d,), float32 of length 1.

    Words and their frequencies are those of the training texts alone; of `domains`, of the
    training texts of both.

    Args:
        splits: splits of texts, or of `domains` of texts.
        words: largest number of words d, the most frequent ones; None for all.

    Returns:
        The splits, with the names that they had.

    Raises:
        UserError: the inputs are no texts, or no text has a word.

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
    vectorizer = fitted_vectorizer(np.concatenate(training), words)
    key = repr((train.fingerprint, train.target and train.target.fingerprint, words))
    return {name: _vectors(split, vectorizer, key) for name, split in splits.items()}


def fitted_vectorizer(training: np.ndarray, words: int | None) -> TfidfVectorizer:
    """Returns a vectoriser that has the words of some texts.

    Args:
        training: the texts, (n,).
        words: largest number of words, the most frequent ones; None for all.

    Raises:
        UserError: the inputs are no texts, no text has a word, or `words` is below 1.

    >>> list(fitted_vectorizer(np.array(['see you', 'see me']), 1).get_feature_names_out())
    ['see']
    """
    if words is not None and words < 1:
        raise UserError(f'words={words}: give a whole number of 1 or more')
    if training.dtype.kind not in 'OU':
        raise UserError(f'inputs are {training.dtype}, not texts: TF-IDF needs texts')
    try:
        return TfidfVectorizer(max_features=words).fit(training)
    except ValueError as error:  # an empty vocabulary
        raise UserError(f'{len(training)} texts have no word of two letters: {error}') from error


def _texts(split: Dataset) -> np.ndarray:
    return np.asarray(split.take(np.arange(split.size))['input'])


def _vectors(split: Dataset, vectorizer: TfidfVectorizer, key: str) -> Dataset:
    """A split, and its target's, with vectors for texts."""
    vectors = vectorizer.transform(_texts(split)).astype(np.float32)

    def take(index):
        return {'input': vectors[index].toarray(), 'label': split.label[index]}

    digest = hashlib.sha256(f'{split.fingerprint} {key}'.encode()).hexdigest()
    target = split.target and _vectors(split.target, vectorizer, key)
    return split._replace(take=take, fingerprint=digest, target=target)
