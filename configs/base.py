"""The defaults of every config, where real data lies, and the argument after a config's name: `configs/digits.py:source=untrained`."""
import os
from pathlib import Path

from ml_collections import ConfigDict, config_dict


def get_config():
    """A locked config of one fit; an experiment's config fills in what it is about.

    Whatever is chosen by name is `dict(name='x', **keywords)`; the keywords are the arguments of the function x.
    """
    config = ConfigDict(dict(
        commands=('train', 'compare'),   # experiments that take this config, the main one first
        seeds=(0,),                  # one run each, trained together; a seed draws initialisation, labels, batches and noise
        steps=1000,
        batch=64,                    # examples per step and seed, over all devices
        data=dict(name=''),          # tljax.data; tljax.features: extracted
        pseudo=dict(name=''),        # tljax.pseudo: labels by the run that `init` names, in place of the data's own
        per_class=config_dict.placeholder(int),   # labels per class, drawn by the seed; none: all
        shuffled=False,              # labels permuted over the examples: a control
        augment=(),                  # names of tljax.augment's functions with their default strengths
        net=dict(name=''),           # tljax.zoo
        method=dict(name='finetune'),             # tljax.methods
        penalty=dict(name=''),       # tljax.combinators
        init=dict(path='', phase='', rules=(('backbone/.*', None),)),   # to graft from: a run, a Keras file, 'imagenet'; a phase
        partition=dict(name='full'),              # tljax.optim: full, freeze, decay, rules
        statistics='follow',         # BatchNorm of trained layers: follow (the batch's), stored, batch (frozen layers too)
        optim=dict(name='adam', lr=1e-3, schedule='cosine', warmup=0, weight_decay=0., clip=0.),
        groups=ConfigDict(),         # keywords of tljax.optim.group by label: groups.backbone.scale=0.1
        cache=True,                  # extract once what is frozen, and train the rest on it
        parallel='jit',              # or pmap
        chunk=0,                     # steps per call; 0: one for a single seed on a CPU, else ten
        log_every=100, save_every=0, eval_every=0, eval_batch=256,
        phases=ConfigDict(sort_keys=False),       # fits in a row: name -> what differs from this config
        study=ConfigDict(dict(       # experiments.compare
            baseline='scratch', budgets=(),       # labels per class; None: all
            strategies=ConfigDict(sort_keys=False)), sort_keys=False),   # name -> what differs from the last phase
    ), sort_keys=False)
    return config.lock()


def data(path):
    """A file of real data, under the folder that $TLJAX_DATA names, or under `data`."""
    return str(Path(os.environ.get('TLJAX_DATA', 'data'), path))


def characters(of):
    """Omniglot's pictures, or rendered letters, which need no download."""
    if of == 'omniglot':
        return dict(name='omniglot', path=data('omniglot/omniglot_28x28.npz'), split='random')
    return dict(name='glyphs', size=28, classes=600, per_class=20)


def episodes(of, **plan):
    """Episodes of Omniglot in the papers' split, or of rendered letters; every class in four rotations."""
    by_class = None if of == 'omniglot' else dict(validation=.1, test=.3)
    return dict(name='episodes', rotations=True, of=characters(of), by_class=by_class, **plan)


def few(config, pictures=False):
    """Makes a few-shot config as small as it may be."""
    plan = dict(ways=3, shots=1, queries=2)
    of = dict(name='glyphs', size=16, classes=12, per_class=4)
    config.data = dict(name='episodes', of=of, by_class=dict(test=.3), count=6, test=plan, pictures=pictures, **plan)
    config.net = dict(name='conv4', width=4, size=16)
    config.seeds, config.steps, config.batch, config.eval_every = (0, 1), 2, 2, 0


def parse_arg(arg, **defaults):
    """Reads 'source=untrained,smoke' into a ConfigDict with the defaults' names and types; a bare name means true.

    A tuple as default lists the allowed strings, the first of which is the default.
    """
    values = {name: value[0] if isinstance(value, tuple) else value for name, value in defaults.items()}
    for part in filter(None, (arg or '').split(',')):
        name, given, text = part.partition('=')
        if name not in defaults:
            raise ValueError(f'config argument {name!r} is unknown: this config takes {", ".join(defaults)}')
        kind = type(values[name])
        if kind is bool and (not given or text in ('true', 'false')):
            values[name] = text != 'false'
        elif isinstance(defaults[name], tuple) and text not in defaults[name]:
            raise ValueError(f'config argument {name}={text} is not one of {", ".join(defaults[name])}')
        else:
            try:
                values[name] = kind(text) if kind is not bool else {}[text]
            except (ValueError, KeyError):
                raise ValueError(f'config argument {name}={text} is no {kind.__name__}') from None
    return ConfigDict(values).lock()


def shallow():
    """A locked config of `experiments.shallow`."""
    return ConfigDict(dict(
        commands=('shallow',),
        domains=ConfigDict(sort_keys=False),     # name -> tljax.data
        splits=dict(source=('train', 'validation', 'test'), target=('train', 'validation', 'test')),   # which splits stand for a domain
        net=dict(name=''),           # tljax.zoo: whose features; none: the inputs themselves
        weights='imagenet',          # of that network: or a Keras file
        scale='none',                # of features, each domain by itself: none, standard (columns), unit (rows)
        tasks=(),                    # 'source-target'; none: all ordered pairs
        methods=ConfigDict(sort_keys=False),     # name -> classifier, and map (tljax.shallow.mapping) or weights (tljax.shallow.instance)
    ), sort_keys=False).lock()


def shallow_methods(classifier='nearest', dim=30):
    """Every map with this classifier, and every weight function with logistic regression, as the papers set them."""
    maps = dict(tca=dict(dim=dim), jda=dict(dim=dim), bda=dict(dim=dim, balance=.1), subspace_alignment=dict(dim=dim), gfk=dict(dim=20),
                coral={}, optimal_transport={})
    weights = ('kmm', 'kliep', 'ulsif', 'rulsif', 'discriminator', 'nearest_neighbours')
    return ConfigDict({**{name: dict(classifier=classifier, map=dict(name=name, **keywords)) for name, keywords in maps.items()},
                       **{name: dict(classifier='logistic', weights=dict(name=name)) for name in weights}}, sort_keys=False)


def few_rows(config):
    """Makes a config of `experiments.shallow` as small as it may be."""
    config.domains = dict(printed=dict(name='glyphs', part='digits', size=8, per_class=10), handwritten=dict(name='digits', size=8))
    config.splits, config.net, config.scale = dict(source=('train',), target=('validation',)), dict(name=''), 'standard'
    config.methods = dict(tca=dict(classifier='nearest', map=dict(name='tca', dim=5)),
                          discriminator=dict(classifier='logistic', weights=dict(name='discriminator')))
