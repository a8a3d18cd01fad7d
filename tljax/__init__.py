"""tljax: transfer learning in JAX.

`train` fits a network by a method: `tljax.data` has data sets, `tljax.zoo` networks with published
weights, `tljax.methods` methods of transfer. `tljax.shallow` adapts arrays without a network, and
`tljax.when` measures whether a transfer helps.

    model = tljax.train(data='digits', net='conv4', workdir='runs/digits')
    model.predict(pictures)

Every name is imported at its first use, so that `import tljax` is fast.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tljax import data, methods, shallow, when, zoo
    from tljax.core import Dataset, Method, Net, Stream, Task, Tick, TrainState, UserError
    from tljax.engine.train import Fitted, Run, fit
    from tljax.trained import Trained, load, train

__version__ = '0.1.0'
__all__ = [
    'Dataset',
    'Fitted',
    'Method',
    'Net',
    'UserError',
    'Run',
    'Stream',
    'Task',
    'Tick',
    'TrainState',
    'Trained',
    'data',
    'fit',
    'load',
    'methods',
    'shallow',
    'train',
    'when',
    'zoo',
]
# name -> module that defines it
HOMES = {
    'Fitted': 'tljax.engine.train',
    'Run': 'tljax.engine.train',
    'fit': 'tljax.engine.train',
    'Trained': 'tljax.trained',
    'load': 'tljax.trained',
    'train': 'tljax.trained',
}


def __getattr__(name: str):
    if name not in __all__:
        raise AttributeError(f'tljax has no {name!r}')
    if name.islower() and name not in HOMES:
        return importlib.import_module(f'tljax.{name}')
    return getattr(importlib.import_module(HOMES.get(name, 'tljax.core')), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
