"""Vectors of the names of classes, from files of GloVe and of word2vec."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from tljax.core import UserError, abbreviated
from tljax.data.reading import reading
from tljax.knowledge import Knowledge, knowledge

REMEDY = 'name a file of word vectors: text of GloVe or word2vec, or word2vec as .bin'
LONGEST = 1000  # bytes of a word in a binary file; a longer one shows that the file is none


def words(path: str | Path, classes: Sequence[str]) -> Knowledge:
    """Reads the vectors of the names of classes. The vectors of all other words are passed over.

    A name is looked up as it is, then in lower case. The vector of a name of several words, which
    blanks, '_', '+' or '-' separate, is the mean of the words' vectors.

    Args:
        path: a text with a word and its numbers in each line (GloVe), the same after a line
            'words numbers' (word2vec), or the binary form of word2vec, whose name ends in .bin.
        classes: names of all classes.

    Returns:
        A `Knowledge` of these classes.

    Raises:
        UserError: the file is missing or damaged, or lacks a word of a name.

    Source: Mikolov et al. 2013, https://arxiv.org/abs/1310.4546; Pennington et al. 2014,
        https://doi.org/10.3115/v1/D14-1162.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), 'glove.txt')
    >>> _ = path.write_text('killer 1.0 0.0\\nwhale 0.0 1.0\\nthe 5.0 5.0\\n')
    >>> words(path, ['whale', 'killer+whale']).vectors.tolist()
    [[0.0, 1.0], [0.5, 0.5]]
    """
    wanted = {
        spelling for name in classes for word in _parts(name) for spelling in _spellings(word)
    }
    wanted |= {spelling for name in classes for spelling in _spellings(name)}
    vectors = word_vectors(path, wanted)
    rows = [_vector(name, vectors, path) for name in classes]
    return knowledge(classes, np.stack(rows), (), str(path))


def word_vectors(path: str | Path, wanted: set[str]) -> dict[str, np.ndarray]:
    """Reads the vectors of some words; the first of several vectors of a word counts.

    Args:
        path: as `words` takes it.
        wanted: the words; those that the file lacks are left out of the result.

    Raises:
        UserError: the file is missing or damaged, or vectors differ in length.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), 'vectors.txt')
    >>> _ = path.write_text('2 3\\ncat 1 2 3\\ndog 4 5 6\\n')
    >>> {word: vector.tolist() for word, vector in word_vectors(path, {'dog', 'eel'}).items()}
    {'dog': [4.0, 5.0, 6.0]}
    """
    with reading(path, REMEDY) as file:
        lines = _binary(file, wanted) if file.suffix == '.bin' else _text(file, wanted)
        vectors: dict[str, np.ndarray] = {}
        for word, vector in lines:
            vectors.setdefault(word, vector)
        if len({len(vector) for vector in vectors.values()}) > 1:
            raise ValueError('vectors of different lengths')
    return vectors


def _text(path: Path, wanted: set[str]) -> Iterator[tuple[str, np.ndarray]]:
    """Wanted words and vectors of a text. A word may contain blanks, and numbers never do."""
    dim = 0
    with open(path, encoding='utf-8', errors='replace') as file:
        for line in file:
            cells = line.rstrip().split(' ')
            if not dim:
                is_header = len(cells) == 2 and all(cell.isdigit() for cell in cells)
                dim = int(cells[1]) if is_header else len(cells) - 1
                if dim < 1:
                    raise ValueError(f'the line {line[:40]!r} has no numbers')
                if is_header:
                    continue
            word = ' '.join(cells[:-dim])
            if word in wanted:
                yield word, np.array(cells[-dim:], float)


def _binary(path: Path, wanted: set[str]) -> Iterator[tuple[str, np.ndarray]]:
    """Wanted words and vectors of word2vec's binary form: a line of counts, and then for each word
    its text, a blank and its float32 numbers."""
    with open(path, 'rb') as file:
        count, dim = map(int, file.readline(100).split())
        for _ in range(count):
            word = bytearray()
            while (byte := file.read(1)) != b' ':
                if not byte or len(word) > LONGEST:
                    raise EOFError('the file ends within a word')
                word += byte
            numbers = file.read(4 * dim)
            if len(numbers) < 4 * dim:
                raise EOFError('the file ends within a vector')
            text = word.decode('utf-8', 'replace').lstrip('\n')
            if text in wanted:
                yield text, np.frombuffer(numbers, '<f4').astype(float)


def _parts(name: str) -> list[str]:
    """The words of a name."""
    for separator in '_+-':
        name = name.replace(separator, ' ')
    return name.split()


def _spellings(word: str) -> list[str]:
    """How files may write a word, the most literal first."""
    return list(dict.fromkeys([word, word.lower(), word.replace(' ', '_')]))


def _vector(name: str, vectors: dict[str, np.ndarray], path: str | Path) -> np.ndarray:
    """The vector of a name, from its own or from those of its words."""
    found = []
    for part in [name] if any(s in vectors for s in _spellings(name)) else _parts(name):
        of_part = [vectors[spelling] for spelling in _spellings(part) if spelling in vectors]
        if not of_part:
            raise UserError(
                f'{path} has no vector of {part!r}, a word of the class {name!r}: rename the class '
                f'by words such as {abbreviated(vectors, 3)}, or take a larger file'
            )
        found.append(of_part[0])
    return np.mean(found, 0)
