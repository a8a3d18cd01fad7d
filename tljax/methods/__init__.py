"""Methods that train by gradients. Each file holds one paper's method: a factory with the name of
the file, which returns a `Method`. `tljax.methods.dann` is one.

Constants in a method's file state its properties. `tljax.build` and the tests read them, and
nothing else lists methods by name.

    BATCHES   Which batches the loss takes. Every method states this. A file without it holds no
              method.
                  'labelled'  a labelled set, {'input', 'label'}
                  'domains'   a labelled set and as many unlabelled inputs,
                              {'input', 'label', 'target': {'input'}}
                  'episodes'  {'support': set, 'query': set}
                  'boxes'     pictures with boxes, {'input', 'label'}; labels are (n, g, 5), as
                              `data.boxes` has them
                  'unlabelled'  a set whose labels, if it has any, are not read, {'input'}. Nothing
                              is scored, and nothing chosen
                  'tasks'     a set whose labels and weights are dicts by task,
                              {'input', 'label': {task: ...}, 'weight': {task: ...}}. The
                              factory's `classes` and `several` are dicts by task, too.
    CACHED    False: the method is never trained on cached features. Features can be cached if the
              loss uses no output of the network but `taps['features']` of the batch's inputs.
    TRANSDUCTIVE  True: the output for a query depends on the queries beside it, since BatchNorm
              normalises them together.
    SEVERAL   True: an example may have several labels, (n, labels) of 0 and 1. The factory is then
              called with several=True.
    PSEUDO    True: a finished run makes the labels of the batches, between two phases.
    SOURCE    The method keeps a copy of the source network, so that a run must start from one:
                  'backbone'  of the backbone
                  'head'      of the backbone and the classifier; the latter becomes the player
                              `source_head`, with `source_classes` outputs
    TEACHER   True: a finished run teaches, which the config's `teacher` names.
    STATISTICS  The values of the config's `statistics` that the method works with.
    COLUMNS   True: the backbone has a leading axis of tasks, so that it is no network by itself.
    AVERAGING_ONE  Group of parameters that are scaled to average 1 after each update.
    FROZEN    Regex over the paths of parameters that come from the phase before and are never
              trained.
"""

from tljax.doors import door

__getattr__, __dir__ = door(__name__)
