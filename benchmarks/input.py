"""Compares decoding of a folder with a PyTorch DataLoader and grain, and times extraction.

    python -m venv loaders && loaders/bin/pip install torch grain pillow numpy
    python -m benchmarks.input --torch_python=loaders/bin/python --grain_python=loaders/bin/python

The photographs are those of `--photos`, JPEGs; the default is ImageNet's in $TLJAX_DATA. They are
read as they are (`small`), and scaled up to 1,500 to 4,000 pixels and saved at quality 90
(`large`). All sides decode with Pillow, scale the short side to 224 pixels bilinearly, crop the
centre and give batches of bytes; a cell says whether the bytes are those of tljax. Each side has a
process of its own, the sides take turns, and no decoded picture is kept. `--workers` lists numbers
of threads or, for PyTorch, processes. `--draft` adds tljax with `data.draft`.

The table of extraction compares the extraction of features of a network with decoding alone and
with the forward passes alone. Where decoding and the network share the cores of a CPU, extraction
takes at least the sum of their processor time.
"""

import os
import sys
import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags
from PIL import Image

from benchmarks.passes import sides
from benchmarks.timing import define_only, define_rounds, take_turns
from experiments import command
from tljax.core import UserError
from tljax.data.finding import find
from tljax.data.pictures import WORKERS, pictures
from tljax.engine.ahead import ahead
from tljax.engine.evaluate import predictions
from tljax.features import extractor
from tljax.files.console import progress
from tljax.report.page import table
from tljax.zoo import mobilenet

ONLY = define_only(['small', 'large', 'extraction'])
ROUNDS = define_rounds(3)
PHOTOS = flags.DEFINE_string('photos', None, 'A folder of photographs; default: $TLJAX_DATA.')
COUNT = flags.DEFINE_integer('count', 500, 'Number of photographs; repeated if there are fewer.')
LARGE = flags.DEFINE_integer('large_count', 100, 'Number of large photographs.')
THREADS = flags.DEFINE_list('workers', ['1', '2', '16'], 'Numbers of workers.')
TORCH = flags.DEFINE_string('torch_python', None, 'Python of an environment with torch.')
GRAIN = flags.DEFINE_string('grain_python', None, 'Python of an environment with grain.')
DRAFT = flags.DEFINE_integer('draft', 0, 'Also time tljax with this data.draft.')
SIZE = 224
BATCH = 50
WIDTHS = (1500, 2000, 3000, 4000)  # long sides of large photographs


def main() -> None:
    """Prints the tables of `--only`."""
    photos = _photographs()
    with tempfile.TemporaryDirectory() as folder:
        for name in ONLY.value:
            if name == 'small':
                _decoding(f'{len(photos)} photographs as they are', photos, Path(folder))
            elif name == 'large':
                _decoding(
                    f'{LARGE.value} photographs scaled up to {WIDTHS[0]} to {WIDTHS[-1]} pixels',
                    _enlarged(photos, Path(folder)),
                    Path(folder),
                )
            else:
                _extraction(photos)


def _photographs():
    """Returns `--count` paths of photographs."""
    folder = PHOTOS.value or Path(os.environ.get('TLJAX_DATA', ''), 'imagenet_photos')
    paths = sorted(map(str, Path(folder).glob('**/*.jpg')))
    if not paths:
        raise UserError(f'{folder} has no photographs (*.jpg): give a folder by --photos')
    return [paths[i % len(paths)] for i in range(COUNT.value)]


def _enlarged(photos, folder):
    """Returns the paths of photographs that are scaled up; it makes the files."""
    files = []
    for i in progress(range(LARGE.value), 'making large photographs'):
        image = Image.open(photos[i % len(photos)]).convert('RGB')
        scale = WIDTHS[i % len(WIDTHS)] / max(image.size)
        sides = (round(image.width * scale), round(image.height * scale))
        files.append(str(folder / f'{i}.jpg'))
        image.resize(sides, Image.Resampling.BICUBIC).save(files[-1], quality=90)
    return files


def _decoding(title, files, folder):
    """Prints the table of decoding: pictures per second and memory of each side."""
    listing = folder / 'files.txt'
    listing.write_text('\n'.join(files))
    commands = {'tljax': (sys.executable, 'input_loader')}
    if DRAFT.value:
        commands[f'tljax, draft={DRAFT.value}'] = (sys.executable, 'input_loader', DRAFT.value)
    if TORCH.value:
        commands['PyTorch DataLoader'] = (TORCH.value, 'torch_loader')
    if GRAIN.value:
        commands['grain'] = (GRAIN.value, 'grain_loader')
    rows = []
    for workers in map(int, THREADS.value):
        with sides(commands, (listing, SIZE, workers, BATCH)) as running:
            memory = {name: side.peak() for name, side in running.items()}
            for _ in range(ROUNDS.value):
                for side in running.values():
                    side.run()
            rates = {
                name: len(files) / np.median(side.seconds[1:]) for name, side in running.items()
            }
            for name, side in running.items():
                rows.append(
                    [
                        workers,
                        name,
                        f'{rates[name]:.0f}',
                        f'{rates["tljax"] / rates[name]:.2f}',
                        f'{memory[name] / 2**20:.0f}',
                        'yes' if side.total == running['tljax'].total else 'no',
                    ]
                )
    table(
        ['workers', 'by', 'pictures/s', 'tljax over it', 'peak MB', 'same bytes'],
        rows,
        title=f'{title}, to {SIZE} pixels, {len(os.sched_getaffinity(0))} cores',
    )


def _extraction(photos):
    """Prints the table of extraction, of decoding alone and of the forward passes alone."""
    dataset = pictures(find(photos), (SIZE, SIZE, 3), keep=False)
    net = mobilenet(alpha=0.25)
    params, state = jax.tree.map(
        lambda leaf: leaf[None], net.init(jax.random.key(0), jnp.zeros((1, SIZE, SIZE, 3)))
    )
    extract = extractor(net)
    variables = ({'backbone': params}, {'backbone': state})
    starts = range(0, dataset.size // BATCH * BATCH, BATCH)

    def make(start):
        return extract.place(dataset.packed(np.arange(start, start + BATCH)))

    batches = [make(start) for start in starts]
    timed = take_turns(
        {
            'decoding': lambda: [future.result() for _, future in ahead(make, starts)],
            'forward passes': lambda: [extract.run(*variables, batch) for batch in batches],
            'extraction': lambda: predictions(extract, *variables, dataset, BATCH),
        },
        ROUNDS.value,
    )
    seconds = {name: np.median(values) for name, values in timed.seconds.items()}
    slower = max(seconds['decoding'], seconds['forward passes'])
    total = seconds['decoding'] + seconds['forward passes']
    table(
        ['what', 's', 's of processor time', 'over the slower', 'over the sum'],
        [
            [
                name,
                f'{value:.2f}',
                f'{np.median(timed.processor[name]):.2f}',
                f'{value / slower:.2f}',
                f'{value / total:.2f}',
            ]
            for name, value in seconds.items()
        ],
        title=f'Features of {dataset.size} photographs by MobileNet 0.25 on '
        f'{jax.devices()[0].device_kind}, {WORKERS} threads decode',
    )


if __name__ == '__main__':
    command.run_plain(main)
