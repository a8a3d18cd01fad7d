"""Passes of grain with Pillow over a folder of pictures."""

import functools
from importlib.metadata import version
from pathlib import Path

import grain

from benchmarks.sides.pictures import load, total
from benchmarks.sides.protocol import Calls, serve


def make(listing: str, size: int, workers: int, batch: int) -> tuple[str, Calls]:
    """Prepares the call 'pass', which decodes all pictures in threads and returns their sum.

    Args:
        listing: file with the path of a picture in each line.
        size: side of the decoded pictures, pixels.
        workers: number of threads.
        batch: number of pictures in a batch.
    """
    files = Path(listing).read_text().splitlines()
    decoded = grain.MapDataset.source(files).map(functools.partial(load, size=size))
    options = grain.ReadOptions(num_threads=workers, prefetch_buffer_size=2 * max(batch, workers))
    return f'grain {version("grain")}', {
        'pass': lambda: total(decoded.to_iter_dataset(options).batch(batch)),
    }


if __name__ == '__main__':
    serve(make)
