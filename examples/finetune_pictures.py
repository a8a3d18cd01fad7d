# %% [markdown]
# # Fine-tune on your own pictures
#
# First a new head is trained on features of the frozen network, which are extracted once. Then all
# layers are trained, shallow layers at a lower rate than deep ones. `PICTURES` is a folder with one
# folder for each class, or a ZIP of it. If it is not set, a folder of digits is written. `WEIGHTS`
# is 'imagenet', which fetches MobileNet's weights, or the path of a Keras file of them.

# %%
import os
import tempfile
from pathlib import Path

from PIL import Image
from sklearn.datasets import load_digits

import tljax

PICTURES = os.environ.get('PICTURES', '')
WEIGHTS = os.environ.get('WEIGHTS', 'imagenet')
STEPS = int(os.environ.get('STEPS', 200))
RUNS = Path(os.environ.get('RUNS', 'runs/pictures'))


def write_digits(folder: Path, classes: str = '0123', count: int = 40) -> None:
    """Writes scikit-learn's digits as pictures, a folder for each class."""
    images, labels = load_digits().images, load_digits().target
    for name in classes:
        (folder / name).mkdir(parents=True)
        for i, image in enumerate(images[labels == int(name)][:count]):
            Image.fromarray((image * 255 / 16).astype('uint8')).save(folder / name / f'{i}.png')


if not PICTURES:
    PICTURES = tempfile.mkdtemp()
    write_digits(Path(PICTURES))

# %% [markdown]
# ## The head
#
# `partition=freeze` keeps the backbone's weights. A frozen backbone runs once over the pictures,
# and the head trains on its features.

# %%
shared = dict(
    data={'name': 'folder', 'path': PICTURES, 'size': 64, 'resize': 73},
    net={'name': 'mobilenet', 'alpha': 0.25},
    batch=32,
    statistics='stored',
)
head = tljax.train(
    **shared,
    workdir=RUNS / 'head',
    init={'path': WEIGHTS},
    partition={'name': 'freeze'},
    steps=STEPS,
    optim={'lr': 1e-2},
)
print('head only:', head.scores['test'])

# %% [markdown]
# ## All layers
#
# `init` takes all parameters of the first run, the head included. `partition=layerwise` multiplies
# the rate by 0.8 from each group of layers to the next shallower one.

# %%
finetuned = tljax.train(
    **shared,
    workdir=RUNS / 'all',
    init={'path': str(RUNS / 'head'), 'rules': [['.*', None]]},
    partition={'name': 'layerwise', 'rate': 0.8},
    augment=['resized_crop', 'colour'],
    steps=STEPS,
    optim={'lr': 3e-4, 'warmup': STEPS // 10, 'clip': 1.0},
)
print('all layers:', finetuned.scores['test'])

# %% [markdown]
# ## New pictures
#
# `predict` takes paths of pictures, folders and archives, or an array of pictures.

# %%
path = sorted(Path(PICTURES).rglob('*.png'))[0]
probability = finetuned.predict(path)[0]
print(path, dict(zip(finetuned.classes, probability.round(3).tolist(), strict=True)))
