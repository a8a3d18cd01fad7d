"""Pictures of a set, each changed by one of several transformations, and which one it was.

A network whose source taught it to ignore a transformation is tested by a target that needs it, or
by one that needs it ignored. With `label='which'` the set is also a pretext task without labels:
Gidaris et al. 2018 predict the rotation of a picture (https://arxiv.org/abs/1803.07728).
"""

import hashlib
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from tljax.core import Dataset, Task, UserError
from tljax.data.purposes import Purpose
from tljax.nn.transformations import Transformation

UNCHANGED = 'as it is'  # title of no transformation


def transformed(
    splits: dict[str, Dataset],
    by: Sequence[Transformation],
    label: str = 'own',
    seed: int = 0,
) -> dict[str, Dataset]:
    """Changes every picture by one of several transformations or by none, at random.

    Each is as likely as the others. A picture is always changed in the same way, in training and in
    the test.

    Args:
        splits: splits of a set of pictures.
        by: functions of `tljax.nn.transformations`.
        label: 'own' keeps the labels; 'which' makes the transformation the class of a picture.
        seed: seed of the draw.

    Returns:
        The splits, with the names that they had.

    Raises:
        UserError: another `label`, no transformations, two of one title, or no pictures.

    >>> from tljax.data import digits
    >>> from tljax.nn.transformations import mirror
    >>> splits = transformed(digits(size=8), by=[mirror()], label='which')
    >>> splits['train'].classes, np.bincount(splits['train'].label).tolist()
    (('as it is', 'mirror'), [450, 449])
    """
    if label not in ('own', 'which'):
        raise UserError(f'data.label={label!r} is not own or which')
    titles = [transformation.title for transformation in by]
    if not titles or len({*titles}) < len(titles):
        raise UserError(f'data.by={titles}: give one transformation or more, none twice')
    datasets = {}
    for number, (name, split) in enumerate(splits.items()):
        rng = np.random.default_rng([Purpose.TRANSFORMED, seed, number])
        which = rng.integers(0, 1 + len(by), split.size).astype(np.int32)
        datasets[name] = changed(split, by, which)
        if label == 'which':
            datasets[name] = _with_label(datasets[name], which, (UNCHANGED, *titles))
    return datasets


def changed(dataset: Dataset, by: Sequence[Transformation], which: np.ndarray) -> Dataset:
    """Returns a set whose pictures are changed by transformations.

    Args:
        dataset: set of pictures.
        by: the transformations.
        which: (size,) integers: 0 leaves a picture as it is, i changes it by `by[i - 1]`.

    Raises:
        UserError: on reading, for inputs that are no pictures.

    >>> from tljax.data import arrays
    >>> from tljax.nn.transformations import invert
    >>> grey = arrays(np.full((2, 1, 1, 1), 0.25, np.float32), np.zeros(2, int), ('a',))
    >>> half = changed(grey, [invert()], which=np.array([0, 1]))
    >>> half.take(np.array([1, 0]))['input'].ravel().tolist()
    [0.75, 0.25]
    """

    @jax.jit
    def change(pictures, which):
        def one(picture, number):
            return jnp.stack([picture, *(function(picture) for function in by)])[number]

        return jax.vmap(one)(pictures, which)

    def take(index):
        batch = dataset.take(index)
        input = np.asarray(batch['input'], np.float32)
        if input.ndim != np.ndim(index) + 3:
            raise UserError(
                f'data.of has inputs of shape {input.shape[np.ndim(index) :]}, which are no '
                'pictures: transformations change pictures'
            )
        # also where the shapes of a batch are traced
        with jax.ensure_compile_time_eval():
            pictures = change(input.reshape(-1, *input.shape[-3:]), which[index].reshape(-1))
        return {**batch, 'input': np.asarray(pictures).reshape(input.shape)}

    text = repr((dataset.fingerprint, [function.title for function in by])).encode()
    digest = hashlib.sha256(text + np.asarray(which, np.int32).tobytes()).hexdigest()
    return dataset._replace(take=take, fingerprint=digest)


def _with_label(dataset, label, classes):
    """The set with other labels."""

    def take(index):
        return {**dataset.take(index), 'label': label[index]}

    digest = hashlib.sha256(f'{dataset.fingerprint} {classes}'.encode()).hexdigest()
    return dataset._replace(
        take=take, label=label, task=Task('classes', classes), fingerprint=digest
    )
