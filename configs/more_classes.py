"""The two questions of one-shot learning, asked of ten characters.

    python -m experiments.train --config=configs/more_classes.py                    (rendered letters, nothing to download)
    python -m experiments.train --config=configs/more_classes.py:data=omniglot      (handwritten ones)

A network learns ten classes to 99 %. How good is it, with one example each, on 10, 20 and 50 further classes? And while it improves on the
first ten, does it improve on the next? The curves over training in `report.html` answer both: 'test' is held-out pictures of the ten,
'next 10' nearest centroids from one example each of ten others (SimpleShot). Adam at 1e-3, constant; five seeds.

Expected (RESULTS.md): the ten at 98 %, and 10, 20 and 50 further letters at 53, 49 and 36 %, which stop rising when the ten reach 95 %.
"""
from configs import base


def get_config(arg=None):
    arg = base.parse_arg(arg, data=('glyphs', 'omniglot'), first=10, smoke=False)
    config = base.get_config()
    with config.unlocked():
        config.commands = ('train',)
        config.seeds = tuple(range(5))
        config.method = dict(name='simpleshot', transform='L2N')
        config.net = dict(name='conv4', width=64, size=28)
        config.data = dict(name='more_classes', of=base.characters(arg.data), first=arg.first, further=(10, 20, 50), count=40)
        config.optim.schedule = 'constant'
        config.batch, config.steps, config.log_every, config.eval_every, config.eval_batch = 32, 400, 10, 20, 50
        if arg.smoke:
            of = dict(name='glyphs', size=16, classes=12, per_class=8)
            config.data = dict(name='more_classes', of=of, first=4, further=(3, 5), count=4)
            config.net = dict(name='conv4', width=4, size=16)
            config.seeds, config.steps, config.batch, config.eval_every = (0, 1), 4, 4, 2
    return config
