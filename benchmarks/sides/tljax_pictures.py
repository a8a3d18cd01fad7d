"""Passes of tljax over a folder of pictures; decoded pictures are not kept."""

from pathlib import Path

import numpy as np

from benchmarks.sides.pictures import total
from benchmarks.sides.protocol import Calls, serve
from tljax.data.finding import find
from tljax.data.pictures import pictures
from tljax.engine.ahead import ahead


def make(listing: str, size: int, workers: int, batch: int, draft: int = 0) -> tuple[str, Calls]:
    """Prepares the call 'pass', which makes batches as the training loop does.

    The call returns the sum of the pictures.

    Args:
        listing: file with the path of a picture in each line.
        size: side of the decoded pictures, pixels.
        workers: number of threads.
        batch: number of pictures in a batch.
        draft: as in `data.folder`.
    """
    files = Path(listing).read_text().splitlines()
    dataset = pictures(find(files), (size, size, 3), keep=False, workers=workers, draft=draft)

    def read(start):
        return dataset.packed(np.arange(start, min(start + batch, dataset.size)))

    def run():
        batches = ahead(read, range(0, dataset.size, batch))
        return total(future.result()['input'].values for _, future in batches)

    return 'tljax', {'pass': run}


if __name__ == '__main__':
    serve(make)
