"""The model that a command works on: a zoo network with a weights file, or a finished run."""
from pathlib import Path

from absl import flags

from experiments import command
from tljax.core import Refused
from tljax.engine.checkpoint import load_final
from tljax.features import pretrained
from tljax.zoo.weights.published import NAME, class_index, published_classes

WEIGHTS = flags.DEFINE_string('weights', None, 'Weights for --model: a Keras file (HDF5, legacy, full model or .weights.h5), or '
                              'imagenet for the published ones, imagenet:160 for those of that picture size.')
CLASSES = flags.DEFINE_string('classes', None, "ImageNet's class index; by default imagenet_class_index.json beside the weights.")


def model(spec):
    """(params, state, record) of the network that the flags name.

    Args:
        spec: the config of a zoo network, or None for a finished run in --workdir.
    """
    if spec is None:
        if WEIGHTS.value or not command.WORKDIR.value:
            raise Refused('name a model: --model=NETWORK --weights=FILE, or --workdir=FOLDER of a finished run')
        return load_final(last(Path(command.WORKDIR.value)))
    if not WEIGHTS.value:
        raise Refused(f'--weights is missing: name a Keras weights file for {spec["name"]}, or --weights=imagenet')
    classes = index()
    return pretrained(spec, WEIGHTS.value, [name for _, name in classes] if classes else None)


def index():
    """ImageNet's classes as --classes gives them, the file beside the weights, or the published one; None where there is none."""
    if not CLASSES.value and NAME.fullmatch(WEIGHTS.value or ''):
        return class_index(published_classes())
    beside = Path(WEIGHTS.value or '').expanduser().with_name('imagenet_class_index.json') if WEIGHTS.value else None
    if CLASSES.value or beside and beside.exists():
        return class_index(CLASSES.value or beside)
    return None


def last(workdir):
    """The folder of the last phase of a run, or the folder itself."""
    finished = sorted(path.parent for path in workdir.glob('[0-9][0-9]-*/final'))
    return workdir if (workdir / 'final').exists() or not finished else finished[-1]
