"""Does transfer help?

Before training, `transferability` and `evidence` score sources, `probes` and `logistic` measure
features, `distances` and `relatedness` compare domains and tasks, and `class_shares` estimates a
target's classes. After training, `gain` and `label_efficiency` measure what transfer gained,
`selection` chooses a model without target labels, and `advice` predicts the gain of a new transfer.

>>> from tljax import when
>>> round(when.transfer_gain([0.7, 0.8, 0.9], [0.6, 0.6, 0.6]).mean, 2)
0.2
"""

from tljax.doors import door

__getattr__, __dir__ = door(__name__, '.', own=False)
