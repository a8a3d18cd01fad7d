"""English text messages, spam among them."""

import re
from pathlib import Path

import numpy as np

from tljax.core import Dataset, UserError
from tljax.data.formats.texts import texts
from tljax.data.reading import reading
from tljax.data.splits import cut_missing

KINDS = ('ham', 'spam')
PARTS = ('all', 'calls', 'others')
CALL = re.compile(r'\bcall', re.IGNORECASE)


def sms_spam(
    path: str | Path,
    part: str = 'all',
    validation: float = 0.1,
    test: float = 0.2,
    seed: int = 0,
) -> dict[str, Dataset]:
    """Loads the SMS Spam Collection: 5,574 messages, 747 of them spam.

    Inputs are texts, which `tljax.data.tfidf` turns into numbers. The collection does not say who
    sent a message or when. Its parts are two domains by content: messages with a word that begins
    with 'call' (628, of which 345 are spam) and all others (4,946, 402 spam).

    Args:
        path: the file `SMSSpamCollection`.
        part: 'all', 'calls' or 'others'.
        validation: share of each class that is cut off for validation.
        test: share of each class that is cut off for the test.
        seed: seed of the cut.

    Returns:
        {'train': Dataset, 'validation': Dataset, 'test': Dataset}.

    Raises:
        UserError: the part is unknown, or the file is missing or no such collection.

    Source: Almeida, Gómez Hidalgo and Yamakami, Contributions to the study of SMS spam filtering,
        2011 (https://archive.ics.uci.edu/dataset/228/sms+spam+collection).

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), 'SMSSpamCollection')
    >>> _ = path.write_text('ham\\tsee you\\n' * 8 + 'spam\\tCall now\\n' * 8)
    >>> train = sms_spam(path)['train']
    >>> train.size, train.take(np.array([0]))['input'].item(), train.label[0].item()
    (10, 'see you', 0)
    """
    if part not in PARTS:
        raise UserError(f'data.part={part!r} is not one of {", ".join(PARTS)}')
    with reading(path, 'give data.path the file SMSSpamCollection of UCI') as path:
        messages = _messages(path.read_text(encoding='utf-8'))
    if part != 'all':
        messages = [
            (kind, text) for kind, text in messages if bool(CALL.search(text)) == (part == 'calls')
        ]
    label = np.array([KINDS.index(kind) for kind, _ in messages], np.int32)
    everything = texts([text for _, text in messages], label, KINDS)
    return cut_missing({'train': everything}, validation, test, seed, path)


def _messages(content: str) -> list[tuple[str, str]]:
    """The pairs (kind, text) of a collection; a header 'Label, SMS' is passed over."""
    lines = [line.partition('\t') for line in content.split('\n') if line]
    pairs = [(kind, text) for kind, tab, text in lines if kind in KINDS and tab]
    if len(pairs) < len(lines) - 1 or not pairs:
        raise ValueError(f'{len(lines) - len(pairs)} lines of {len(lines)} are no messages')
    return pairs
