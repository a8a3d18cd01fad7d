"""Reads mutated files in a process of its own, and tells what became of each: python fuzz.py KIND
FIRST COUNT FOLDER."""

import json
import random
import sys
import time
import traceback
from pathlib import Path

PEAK = Path('/proc/self/clear_refs')


def mutated(whole: bytes, seed: str) -> bytes:
    """A few seeded changes: bytes flipped, cut out, doubled, inserted, moved, numbers made large,
    or the end cut off."""
    dice, data = random.Random(seed), bytearray(whole)
    for _ in range(dice.randint(1, 6)):
        place, length = dice.randrange(max(len(data), 1)), dice.choice((1, 1, 2, 4, 8, 64))
        part = data[place : place + length]
        change = dice.choice(
            ('flip', 'flip', 'flip', 'cut', 'double', 'insert', 'large', 'zero', 'move', 'end')
        )
        if change == 'flip' and part:
            data[place] ^= 1 << dice.randrange(8)
        elif change == 'cut':
            del data[place : place + length]
        elif change == 'double':
            data[place:place] = part
        elif change == 'insert':
            data[place:place] = dice.randbytes(length)
        elif change in ('large', 'zero'):
            data[place : place + length] = (b'\xff' if change == 'large' else b'\0') * len(part)
        elif change == 'move':
            del data[place : place + length]
            place = dice.randrange(max(len(data), 1))
            data[place:place] = part
        elif dice.random() < 0.3:
            del data[place:]
    return bytes(data)


def peak() -> int:
    """The most memory that this process has held since the last call, in bytes."""
    held = next(
        line
        for line in Path('/proc/self/status').read_text().splitlines()
        if line.startswith('VmHWM')
    )
    PEAK.write_text('5')
    return 1024 * int(held.split()[1])


def main(kind: str, first: int, count: int, folder: Path) -> None:
    """Prints a line of JSON for each file: seconds, bytes above the idle process, and what was
    said."""
    from readers import KINDS

    from tljax.core import UserError

    name, make, read = KINDS[kind]
    folder.mkdir()
    whole = make(folder)
    place = folder / name
    place.write_bytes(whole)
    read(place)  # the sound file is read, and what is loaded once is loaded
    idle = peak() and peak()
    for number in range(first, first + count):
        place.write_bytes(mutated(whole, f'{kind} {number}'))
        before, begun = sorted(folder.rglob('*')), time.perf_counter()
        try:
            read(place)
            said = 'read'
        except UserError as refused:
            said = f'refused: {refused}'
        except BaseException:
            said = 'traceback: ' + traceback.format_exc()[-1500:]
        line = dict(
            number=number,
            seconds=time.perf_counter() - begun,
            above=peak() - idle,
            said=said,
            wrote=sorted(folder.rglob('*')) != before,
        )
        print(json.dumps(line), flush=True)


if __name__ == '__main__':
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
