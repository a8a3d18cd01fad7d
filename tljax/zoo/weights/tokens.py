"""Tokens of texts for CLIP: pairs of bytes (Sennrich et al. 2016, https://arxiv.org/abs/1508.07909)
of lower-case words, as Radford et al. 2021, section 2.4, have them
(https://arxiv.org/abs/2103.00020).

The vocabulary lies beside the weights: `tokenizer.json`, or `vocab.json` and `merges.txt`. The
library `tokenizers` reads it.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tljax.core import UserError
from tljax.files.console import say

if TYPE_CHECKING:
    from tokenizers import Tokenizer

# words, single digits, and runs of other marks
PIECES = r"""'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+"""
STARTS, ENDS = ('<|startoftext|>', '<start_of_text>'), ('<|endoftext|>', '<end_of_text>')
REMEDY = 'copy the files of the vocabulary there from where the weights are from'


class Tokens(NamedTuple):
    """Texts as numbers.

    Attributes:
        numbers: (n, t) numbers of tokens, as many as the longest text has; 0 follows an end.
        ends: (n,) place of each text's first end token.

    >>> Tokens(np.array([[7, 2, 8, 0], [7, 3, 4, 8]]), np.array([2, 3])).numbers.shape
    (2, 4)
    """

    numbers: np.ndarray
    ends: np.ndarray


def vocabulary_beside(weights: str | Path) -> Tokenizer:
    """Reads CLIP's vocabulary from the folder of the weights.

    Args:
        weights: path of the file of weights.

    Raises:
        UserError: the folder has no vocabulary, or a damaged one, or that of another network.
        ModuleNotFoundError: the library `tokenizers` is not installed.

    >>> vocabulary_beside('nowhere/model.safetensors')
    Traceback (most recent call last):
    tljax.core.UserError: nowhere has no tokenizer.json, nor vocab.json and merges.txt, ...
    """
    folder = Path(weights).expanduser().parent
    whole, (words, merges) = (
        folder / 'tokenizer.json',
        (folder / 'vocab.json', folder / 'merges.txt'),
    )
    if not whole.is_file() and not (words.is_file() and merges.is_file()):
        raise UserError(
            f'{folder} has no tokenizer.json, nor vocab.json and merges.txt, by which CLIP reads '
            f'class names: {REMEDY}'
        )
    from tokenizers import Tokenizer  # imported late: it is needed here alone

    path = whole if whole.is_file() else words
    try:
        tokenizer = Tokenizer.from_file(str(path)) if path == whole else _built(words, merges)
    except Exception as error:  # the library raises bare exceptions
        line = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f'{path} is damaged ({line[:80]}): {REMEDY}') from error
    if None in (_number(tokenizer, STARTS), _number(tokenizer, ENDS)):
        raise UserError(
            f'{path} is the vocabulary of another network (it has no {STARTS[0]} or no {ENDS[0]}): '
            f'{REMEDY}'
        )
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _built(words: Path, merges: Path) -> Tokenizer:
    """The tokenizer of a vocabulary and its merges, as transformers builds CLIP's."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

    pairs = models.BPE.from_file(str(words), str(merges), end_of_word_suffix='</w>')
    tokenizer = Tokenizer(pairs)
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), behavior='removed', invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    known = [name for name in (*STARTS, *ENDS) if tokenizer.token_to_id(name) is not None]
    tokenizer.add_special_tokens(known)
    return tokenizer


def _number(tokenizer, names):
    """The number of the first token of some names that a vocabulary has, or None."""
    numbers = (tokenizer.token_to_id(name) for name in names)
    return next((number for number in numbers if number is not None), None)


def tokens(tokenizer: Tokenizer, texts: Sequence[str], context: int = 77) -> Tokens:
    """Returns texts as tokens, between a start and an end.

    White space, HTML's names of characters and upper case are treated as in open_clip, which also
    mends texts that were decoded wrongly (ftfy). A longer text is cut, as there, so that its last
    token is the end. A message says so.

    Args:
        tokenizer: of `vocabulary_beside`.
        texts: the texts.
        context: number of tokens that a text may have, with its start and end.

    >>> import json, tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> vocabulary = ['c', 'a', 'a</w>', 't</w>', 'ca', 'cat</w>', *STARTS[:1], *ENDS[:1]]
    >>> numbers = {token: number for number, token in enumerate(vocabulary)}
    >>> _ = (folder / 'vocab.json').write_text(json.dumps(numbers))
    >>> _ = (folder / 'merges.txt').write_text('#version: 0.2\\nc a\\nca t</w>\\n')
    >>> tokenizer = vocabulary_beside(folder / 'model.safetensors')
    >>> found = tokens(tokenizer, ['Cat', 'a  cat'])
    >>> found.numbers.tolist(), found.ends.tolist()
    ([[6, 5, 7, 0], [6, 2, 5, 7]], [2, 3])
    """
    start, end = _number(tokenizer, STARTS), _number(tokenizer, ENDS)
    clean = [' '.join(html.unescape(html.unescape(text)).split()).lower() for text in texts]
    encoded = tokenizer.encode_batch(clean, add_special_tokens=False)
    rows = [[start, *encoding.ids, end] for encoding in encoded]
    long = [i for i, row in enumerate(rows) if len(row) > context]
    if long:
        say(
            f'{len(long)} of {len(texts)} texts have more than {context} tokens, and are cut '
            f'there: {texts[long[0]][:40]!r} ...'
        )
    rows = [row if len(row) <= context else [*row[: context - 1], end] for row in rows]
    numbers = np.zeros((len(rows), max(map(len, rows))), np.int32)
    for i, row in enumerate(rows):
        numbers[i, : len(row)] = row
    return Tokens(numbers, np.array([row.index(end) for row in rows], np.int32))
