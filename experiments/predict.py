"""Predicts labels and probabilities of pictures with an ImageNet network or a run of your own.

    python -m experiments.predict --model=mobilenet --weights=imagenet photos/ cat.jpg
    python -m experiments.predict --workdir=runs/mine --top=3 --json photos.zip
    python -m experiments.predict --workdir=runs/protonet --support=labelled/ new/
    python -m experiments.predict --workdir=runs/mine --knowledge=attributes.csv pictures/
    python -m experiments.predict --model=clip_vit_base_patch32 --weights=clip/model.safetensors \
        --classes='ant,bee' --prompt='a photo of a {}' pictures/
    python -m experiments.predict --model=ssdlite_mobilenet_v2 --weights=FOLDER --draw=boxes photos/

A path is a picture, or a folder, a ZIP or a tar archive of pictures, or a CSV that lists pictures.
`--model` may be a file of experiments.export. `--classes` names the classes of `--weights`, and
`--batch` pictures are read at a time. CLIP predicts the classes that `--classes` names; `--prompt`
describes one. Probabilities are averaged over the seeds of a run; a regression predicts numbers. A
few-shot run predicts new classes: `--support` holds a folder of a few pictures for each.
`--knowledge` names attributes of the model's classes and of new ones, predicted without examples;
`--shift` lets the model's own compete. `--task` names one of several tasks. `--json` prints a list
with the path of each picture and its [label, probability] pairs; `--csv` writes a row for each
picture. A detector finds boxes, in pixels: `--draw` names a folder for drawings, `--coco` a file in
COCO's form. A picture that cannot be read is reported, and the exit status is then 1.
"""

from absl import flags

from experiments import command, detector
from tljax import studies
from tljax.core import UserError
from tljax.files.text import refuse_unwritable
from tljax.studies.model_choice import ModelChoice

SHARED = 'batch', 'pixels', 'prompt', 'task', 'support', 'knowledge', 'shift'
TOP = flags.DEFINE_integer('top', 5, 'Number of labels for each picture.', lower_bound=1)
CSV = flags.DEFINE_string('csv', None, 'CSV file to which the predictions are written too.')
detector.define_flags()
flags.adopt_module_key_flags(detector)  # so that --help shows them


def main(choice: ModelChoice, paths: list[str]) -> None:
    """Predicts every picture that the paths name, in their order.

    Args:
        choice: the model that the command line names.
        paths: pictures, folders, archives, and CSVs that list pictures.
    """
    if not paths:
        raise UserError('name pictures, or folders of pictures')
    if choice.workdir and choice.classes:
        raise UserError('--classes names the classes of --model; a run has its own: leave it out')
    if CSV.value is not None:
        refuse_unwritable(CSV.value, '--csv')
    pictures, given = studies.pictures, flags.FLAGS
    files = pictures.find(paths)
    model = studies.models.model(choice)
    if studies.detection.is_detector(model):
        detector.predict(model, files)
        return
    how = files, TOP.value, given.batch, given.pixels
    if given.support:
        answers = studies.episodes.predict(model, given.support, *how)
    elif given.knowledge:
        answers = studies.zero_shot_pictures.predict(model, given.knowledge, *how, given.shift)
    else:
        answers = pictures.predict(model, *how)
    if CSV.value:
        pictures.write_predictions(answers, CSV.value)
    command.tell_answers(answers, pictures.answer_table)


if __name__ == '__main__':
    command.run_on_model(main, *SHARED)
