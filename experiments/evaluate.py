"""How often is a model right on pictures whose classes are known? Top-1 and top-5 accuracy.

    python -m experiments.evaluate --model=mobilenet --weights=imagenet photographs/
    python -m experiments.evaluate --workdir=runs/mine --json pictures/
    python -m experiments.evaluate --model=mobilenet --weights=imagenet --size=96 photographs/

A picture's class is the name of its folder, or, for an ImageNet network, the WordNet id that its
name or its folder's begins with (`n01440764_tench.jpg`); `--classes` names the class index of other
weights. `--size` shows the network smaller pictures than it is for, `--batch` is how many are read
at a time. Where a run has several seeds, each is evaluated and the mean is told.
"""
from absl import flags

from experiments import command
from tljax import studies
from tljax.core import Refused
from tljax.studies.model_choice import ModelChoice

SIZE = flags.DEFINE_integer('size', 0, 'Side of the pictures that the network is shown; 0: the one '
                            'it is for.', lower_bound=0)
BATCH = flags.DEFINE_integer('batch', 32, 'Pictures at a time.', lower_bound=1)


def main(choice: ModelChoice, paths: list[str]) -> None:
    """Prints top-1 and top-5 accuracy on the pictures below the paths."""
    if not paths:
        raise Refused('name folders of pictures')
    pictures, models = studies.pictures, studies.models
    files = pictures.find(paths)
    found = pictures.evaluate(models.model(choice), files, models.index(choice), SIZE.value,
                              BATCH.value)
    if not flags.FLAGS.json:
        print(*(f'top-{k} {found[f"top{k}"]:.3f}' for k in (1, 5) if f'top{k}' in found), sep='\n')
    command.tell(found, [pictures.accuracy_table(found)])


if __name__ == '__main__':
    command.run_on_model(main)
