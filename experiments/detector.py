"""The part of `experiments.predict` that is about detectors."""

from absl import flags

from experiments import command
from tljax import studies
from tljax.protocols import Record, Tree

BATCH = 8  # pictures at a time, which are large


def define_flags() -> None:
    """Defines the flags of `predict` for detectors."""
    flags.DEFINE_float('score', 0.3, 'Of a detector: smallest score of a detection.', 0, 1)
    flags.DEFINE_integer('max_detections', 100, 'Of a detector: most detections of a picture.', 1)
    flags.DEFINE_string('draw', None, 'Of a detector: folder for the pictures with their boxes.')
    flags.DEFINE_string('coco', None, "Of a detector: file for detections in COCO's form.")


def predict(model: tuple[Tree, Tree, Record], files: list) -> None:
    """Finds objects in pictures, and prints, draws and writes them as the flags say.

    Args:
        model: parameters, state and record of a detector.
        files: the pictures.
    """
    detection, values = studies.detection, flags.FLAGS
    batch, most = min(values.batch, BATCH), values.max_detections
    answers = detection.detect(model, files, values.score, most, batch, values.pixels)
    if values.draw:
        detection.write_drawings(answers, files, model[2]['classes'], values.draw)
    if values.coco:
        detection.write_json(detection.coco_results(answers), values.coco)
    command.tell_answers(answers, detection.answer_table)
