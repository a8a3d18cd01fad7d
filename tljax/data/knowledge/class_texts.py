"""Classes described by a text each."""

import csv
import io
from pathlib import Path

import numpy as np

from tljax.core import UserError
from tljax.data.knowledge.word_files import word_vectors
from tljax.data.reading import reading
from tljax.data.wrappers.tfidf import fitted_vectorizer
from tljax.knowledge import Knowledge, knowledge

REMEDY = 'name a CSV with the rows class,text'


def descriptions(path: str | Path, words: str | Path = '', most: int = 2000) -> Knowledge:
    """Reads a description of each class, and turns it into numbers.

    Without word vectors these are TF-IDF weights of the words of all descriptions. With them, they
    are the mean of the words' vectors, weighted by TF-IDF. Words without a vector are left out.

    Args:
        path: a CSV with a row per class: its name, and a text. A first row 'class,text' is skipped.
        words: file of word vectors, as `words` reads it; '' for none.
        most: largest number of words of the vocabulary, the most frequent ones.

    Raises:
        UserError: a file is missing, a row has no text, or no word of a text has a vector.

    Source: TF-IDF of texts, as in Elhoseiny et al. 2013 (https://doi.org/10.1109/ICCV.2013.321).

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), 'animals.csv')
    >>> _ = path.write_text('class,text\\nhorse,has hooves\\nzebra,"has hooves, has stripes"\\n')
    >>> descriptions(path).vectors.round(1).tolist()  # has, hooves, stripes
    [[0.7, 0.7, 0.0], [0.8, 0.4, 0.5]]
    """
    with reading(path, REMEDY) as file:
        rows = list(csv.reader(io.StringIO(file.read_text(encoding='utf-8-sig'))))
    rows = [row for row in rows if any(cell.strip() for cell in row)]
    if rows and [cell.strip().lower() for cell in rows[0]] == ['class', 'text']:
        rows = rows[1:]
    for row in rows:
        if len(row) != 2 or not row[1].strip():
            raise UserError(
                f'{path}: the row {row[0]!r} has {len(row)} cells, or no text: write class,"text"'
            )
    if not rows:
        raise UserError(f'{path} describes no class: {REMEDY}')
    texts = np.array([text for _, text in rows], object)
    vectorizer = fitted_vectorizer(texts, most)
    weights = vectorizer.transform(texts).toarray()
    names = [str(name) for name in vectorizer.get_feature_names_out()]
    if words:
        vectors = word_vectors(words, set(names))
        known = [i for i, name in enumerate(names) if name in vectors]
        total = weights[:, known].sum(1, keepdims=True)
        if not known or (total == 0).any():
            raise UserError(f'{words} has no vector of any word of a description in {path}')
        weights = weights[:, known] @ np.stack([vectors[names[i]] for i in known]) / total
        names = []
    return knowledge([name for name, _ in rows], weights, names, str(path))
