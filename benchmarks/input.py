"""Compares decoding of a folder with a PyTorch DataLoader and grain, and times extraction.

    python -m venv LOADERS && LOADERS/bin/pip install torch==2.13.0 grain pillow numpy
    python -m benchmarks.input --torch_python=LOADERS/bin/python --grain_python=LOADERS/bin/python

The photographs are those of `--photos`, JPEGs; the default is ImageNet's in $TLJAX_DATA. They are
read as they are (`small`), and scaled up to 1,500 to 4,000 pixels and saved at quality 90
(`large`). All sides decode with Pillow, scale the short side to 224 pixels bilinearly, crop the
centre and give batches of bytes; a cell says whether the bytes are those of tljax. No decoded
picture is kept. Each side runs in a process of its own and is stopped while another one runs; they
take turns. `--workers` lists numbers of threads or, for PyTorch, processes. `--draft` adds tljax
with `data.draft`.

The memory is the most that a side and the processes that it starts hold at once during its first
pass. The load is what other programs took of a core before, during and after a measurement; a ratio
is marked `busy` where it was above 0.3.

The table of extraction compares the extraction of features of a network with decoding alone and
with the forward passes alone. Where decoding and the network share the cores of a CPU, extraction
takes at least the sum of their processor time.
"""

import contextlib
import os
import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags
from PIL import Image

from benchmarks import processes
from benchmarks.processes import Side
from benchmarks.timing import define_only, define_rounds, take_turns
from experiments import command
from experiments.flag_types import define_list
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
COUNT = flags.DEFINE_integer(
    'count', 500, 'Number of photographs; repeated if there are fewer.', lower_bound=1
)
LARGE = flags.DEFINE_integer('large_count', 100, 'Number of large photographs.', lower_bound=1)
NUMBERS_OF_WORKERS = define_list('workers', [1, 2, 16], 'Numbers of workers.', int)
TORCH = flags.DEFINE_string(
    'torch_python', None, 'Interpreter of an environment with PyTorch; it is left out by default.'
)
GRAIN = flags.DEFINE_string(
    'grain_python', None, 'Interpreter of an environment with grain; it is left out by default.'
)
DRAFT = flags.DEFINE_integer('draft', 0, 'Also time tljax with this data.draft.', lower_bound=0)
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
    paths = sorted(map(str, Path(folder).absolute().glob('**/*.jpg')))
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
    rows, about = [], {}
    for workers in NUMBERS_OF_WORKERS.value:
        settings = {'listing': str(listing), 'size': SIZE, 'workers': workers, 'batch': BATCH}
        with contextlib.ExitStack() as stack:
            sides = [stack.enter_context(side) for side in _sides(settings)]
            peaks = {side.name: side.peak('pass') for side in sides}
            turns = processes.take_turns(sides, ROUNDS.value)
            about |= {side.name: side.about for side in sides}
        for name, (memory, total) in peaks.items():
            seconds = turns.median(name, 'pass')
            rate, ratio = len(files) / seconds, seconds / turns.median('tljax', 'pass')
            cell = '' if name == 'tljax' else turns.load.mark(f'{ratio:.2f}')
            same = 'yes' if total == peaks['tljax'][1] else 'no'
            memory = f'{memory / 2**20:.0f}'
            rows.append([workers, name, f'{rate:.0f}', cell, memory, same, str(turns.load)])
    columns = ['workers', 'by', 'pictures/s', 'tljax over it', 'peak MiB', 'same bytes', 'load']
    where = processes.conditions(about, huge_pages=False)
    table(columns, rows, f'{title}, to {SIZE} pixels\n{where}')


def _sides(settings):
    """Starts the sides, one after the other: tljax, and the libraries that flags name."""
    yield Side('tljax', 'tljax_pictures', settings, huge_pages=False)
    if DRAFT.value:
        of_draft = {**settings, 'draft': DRAFT.value}
        yield Side(f'tljax, draft={DRAFT.value}', 'tljax_pictures', of_draft, huge_pages=False)
    if TORCH.value:
        yield Side('PyTorch DataLoader', 'torch_pictures', settings, False, TORCH.value)
    if GRAIN.value:
        yield Side('grain', 'grain_pictures', settings, False, GRAIN.value)


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
