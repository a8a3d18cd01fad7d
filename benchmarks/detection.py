"""Compares SSDLite with PyTorch and TensorFlow: a prediction and a training step, at 300 pixels.

    python -m benchmarks.detection --torch_python=TORCH/bin/python
    python -m benchmarks.detection --torch_python=TORCH/bin/python \\
        --tensorflow_python=TF/bin/python --api=API

TORCH is an environment with PyTorch:

    python -m venv TORCH && TORCH/bin/pip install torch==2.13.0 numpy
    PIP_NO_DEPS=1 TORCH/bin/pip install torchvision==0.28.0

API and TF are those of tests/zoo/tensorflow_reference.py.

All have the layers of TensorFlow's SSDLite with MobileNetV2 and 90 classes, in float32, and SGD
with momentum. A prediction of tljax and of TensorFlow includes suppression, which `suppression`
takes alone; one of PyTorch ends with the best 100 boxes of each class. Their steps include the
matching of anchors and boxes, and the choice of hard examples; PyTorch's has given targets. Each
library runs in a process of its own and is stopped while another one runs; they take turns.

The load is what other programs took of a core before, during and after; a ratio is marked
`busy` where it was above 0.3.
"""

import contextlib
import os
from pathlib import Path

from absl import flags

from benchmarks import processes
from benchmarks.processes import Side
from benchmarks.timing import define_rounds
from experiments import command
from tljax.files.console import say
from tljax.report.page import table

BATCH = flags.DEFINE_integer('batch', 8, 'Pictures at a time.', lower_bound=1)
THREADS = flags.DEFINE_integer('threads', os.cpu_count(), 'Threads of PyTorch.', lower_bound=1)
ROUNDS = define_rounds(3)
HUGE_PAGES = processes.define_huge_pages()
TORCH = processes.define_python('torch')
TENSORFLOW = processes.define_python('tensorflow')
API = flags.DEFINE_string(
    'api', '', "Folder of TensorFlow's Object Detection API; without it TensorFlow is left out."
)


def main() -> None:
    """Prints the table."""
    shared = {'batch': BATCH.value}
    modules = {
        'tljax': ('tljax_detection', shared, ''),
        'torch': ('torch_detection', shared | {'threads': THREADS.value}, TORCH.value),
    }
    if API.value:
        settings = shared | {'threads': THREADS.value, 'api': str(Path(API.value).resolve())}
        modules['tensorflow'] = ('tensorflow_detection', settings, TENSORFLOW.value)
    with contextlib.ExitStack() as stack:
        sides = [
            stack.enter_context(Side(name, module, settings, HUGE_PAGES.value, python))
            for name, (module, settings, python) in modules.items()
        ]
        turns = processes.take_turns(sides, ROUNDS.value)
        memory = {side.name: f'{side.memory() / 1e6:.0f}' for side in sides}
    rows = []
    for side, call in turns.seconds:
        seconds, what = turns.median(side, call), call.split()[0]
        ratio = turns.load.mark(f'{seconds / turns.median("tljax", what):.2f}')
        say(f'{call} by {side}: {seconds:.3f} s')
        rows.append([call, side, f'{seconds:.3f}', '' if side == 'tljax' else ratio, memory[side]])
    about = {side.name: side.about for side in sides} | {'load': str(turns.load)}
    columns = ['what', 'by', 's', 'over tljax', 'memory, MB']
    table(columns, rows, processes.conditions(about, HUGE_PAGES.value))


if __name__ == '__main__':
    command.run_plain(main)
