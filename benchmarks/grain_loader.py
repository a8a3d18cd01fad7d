"""Passes of grain with Pillow over a folder, for `benchmarks.input`."""

import functools

import grain

from benchmarks.passes import load, serve


def batches(files, size, workers, batch):
    """Returns a call that yields the batches of one pass; grain decodes in threads."""
    decoded = grain.MapDataset.source(files).map(functools.partial(load, size=size))
    options = grain.ReadOptions(num_threads=workers, prefetch_buffer_size=2 * max(batch, workers))
    return lambda: iter(decoded.to_iter_dataset(options).batch(batch))


if __name__ == '__main__':
    serve(batches)
