"""Passes of tljax over a folder, for `benchmarks.input`; decoded pictures are not kept."""

import numpy as np

from benchmarks.passes import serve
from tljax.data.finding import find
from tljax.data.pictures import pictures
from tljax.engine.ahead import ahead


def batches(files, size, workers, batch, draft=0):
    """Returns a call that yields the batches of one pass, as the training loop gets them."""
    dataset = pictures(find(files), (size, size, 3), keep=False, workers=workers, draft=draft)

    def rows(start):
        return np.arange(start, min(start + batch, dataset.size))

    def run():
        made = ahead(lambda start: dataset.packed(rows(start)), range(0, dataset.size, batch))
        return (future.result()['input'].values for _, future in made)

    return run


if __name__ == '__main__':
    serve(batches)
