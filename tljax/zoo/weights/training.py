"""The kind of task that a saved model was trained for, from the loss it was compiled with."""

import re

from tljax.protocols import Record

REGRESSION = {  # names of losses, without underscores and capitals
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
    """Returns the name of the loss that a model was compiled with, as the file writes it.

    Args:
        training: Keras's config of compilation, from the file's JSON.

    Returns:
        The name; '' for no loss, and for several.

    >>> loss_of({'loss': {'class_name': 'Huber', 'config': {'name': 'huber_loss'}}})
    'Huber'
    >>> loss_of({'loss': ['mae']}), loss_of({})
    ('mae', '')
    """
    loss = training.get('loss')
    for _ in range(3):  # the loss of one output may be nested in a list or in a dict by its name
        if isinstance(loss, dict) and 'class_name' in loss:
            inner = loss.get('config')
            # a function has its name in 'config', a class in 'class_name'
            loss = inner if isinstance(inner, str) else loss['class_name']
        elif isinstance(loss, list | dict) and len(loss) == 1:
            (loss,) = loss.values() if isinstance(loss, dict) else loss
    return loss if isinstance(loss, str) else ''


def tells_numbers(loss: str) -> bool:
    """Tells whether a loss is one of regression.

    Args:
        loss: Keras's name of the loss; '' for an unknown loss.

    >>> tells_numbers('mean_squared_error'), tells_numbers('CategoricalCrossentropy')
    (True, False)
    """
    return _lower_letters(loss) in REGRESSION


def tells_classes(loss: str) -> bool:
    """Tells whether a loss is a cross-entropy, so that linear outputs are logits.

    Args:
        loss: Keras's name of the loss; '' for an unknown loss.

    >>> tells_classes('sparse_categorical_crossentropy'), tells_classes('my_loss')
    (True, False)
    """
    return 'crossentropy' in _lower_letters(loss)


def tells_labels(loss: str) -> bool:
    """Tells whether a loss puts a sigmoid on every output, as several labels need.

    Args:
        loss: Keras's name of the loss; '' for an unknown loss.

    >>> tells_labels('BinaryCrossentropy'), tells_labels('categorical_crossentropy')
    (True, False)
    """
    return 'binary' in _lower_letters(loss)


def _lower_letters(loss):
    return re.sub('[^a-z]', '', loss.lower())
