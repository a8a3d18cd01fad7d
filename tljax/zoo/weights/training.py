"""What a saved model was trained for, from what it was compiled with."""

import re

from tljax.protocols import Record

NUMBERS = {
    'mse',
    'meansquarederror',
    'mae',
    'meanabsoluteerror',
    'mape',
    'msle',
    'huber',
    'meanabsolutepercentageerror',
    'meansquaredlogarithmicerror',
    'huberloss',
    'logcosh',
    'poisson',
    'cosinesimilarity',
    'meansquared',
    'rootmeansquarederror',
}


def loss_of(training: Record) -> str:
    """The name of the loss that a model was compiled with, as the file writes it; '' where there is
    none, or several.

    Args:
        training: what the model was compiled with, as its JSON says it.

    >>> loss_of({'loss': {'class_name': 'Huber', 'config': {'name': 'huber_loss'}}})
    'Huber'
    >>> loss_of({'loss': ['mae']}), loss_of({})
    ('mae', '')
    """
    loss = training.get('loss')
    for _ in range(3):  # of one output, in a list or by the output's name
        if isinstance(loss, dict) and 'class_name' in loss:
            inner = loss.get('config')
            loss = inner if isinstance(inner, str) else loss['class_name']  # a function, a class
        elif isinstance(loss, list | dict) and len(loss) == 1:
            (loss,) = loss.values() if isinstance(loss, dict) else loss
    return loss if isinstance(loss, str) else ''


def tells_numbers(loss: str) -> bool:
    """Whether a loss is one of regression.

    Args:
        loss: its name, as Keras writes it; '' where none is known.

    >>> tells_numbers('mean_squared_error'), tells_numbers('CategoricalCrossentropy')
    (True, False)
    """
    return _plain(loss) in NUMBERS


def tells_classes(loss: str) -> bool:
    """Whether a loss is a cross-entropy, whose linear outputs are logits.

    Args:
        loss: its name, as Keras writes it; '' where none is known.

    >>> tells_classes('sparse_categorical_crossentropy'), tells_classes('my_loss')
    (True, False)
    """
    return 'crossentropy' in _plain(loss)


def tells_labels(loss: str) -> bool:
    """Whether a loss has a sigmoid for every output.

    Args:
        loss: its name, as Keras writes it; '' where none is known.

    >>> tells_labels('BinaryCrossentropy'), tells_labels('categorical_crossentropy')
    (True, False)
    """
    return 'binary' in _plain(loss)


def _plain(loss):
    return re.sub('[^a-z]', '', loss.lower())
