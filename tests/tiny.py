"""The smallest config of one fit, which tests build on."""

from configs import base
from tljax.configuration import merge, phases, plain

SMALL = {
    'data': {'name': 'digits', 'size': 8},
    'net': {'name': 'conv4', 'width': 4, 'blocks': 2, 'size': 8},
    'batch': 16,
    'steps': 6,
    'optim': {'lr': 1e-2},
    'cache': False,
}


def tiny(*changes):
    settings = phases(plain(base.get_config()))[0][1]
    for each in (SMALL, *changes):
        settings = merge(settings, each)
    return settings
