"""Gradient methods: one paper, one file, one factory of the same name that returns a `Method`;
`tljax.methods.dann` is one.

A file states about its method, each in one line, what the builder of runs and the tests read.
Nothing else lists methods by name.

    BATCHES   Which batches the loss takes. Every method states this; a file without it holds no
              method.
                  'labelled'  a labelled set, {'input', 'label'}
                  'domains'   a labelled set with unlabelled inputs beside it,
                              {'input', 'label', 'target': {'input'}}
                  'episodes'  {'support': set, 'query': set}
    CACHED    False: never train it on cached features. A method is cacheable if the loss asks the
              network for nothing but `taps['features']` of the batch's inputs.
    LOOPED    True: the network runs inside a compiled loop, where XLA's convolutions are slow on
              a CPU.
    SEVERAL   True: it takes several labels for an example, (n, labels) of 0 and 1, where its
              factory is told several=True.
    PSEUDO    True: the labels of its batches are made by a finished run, between two phases.
    FROZEN    Regex over parameter paths: what it takes over from the phase before and never
              trains.
"""

from tljax.doors import door

__getattr__, __dir__ = door(__name__)
