"""Data sets and formats: one module each, with a function of the same name that returns the splits.

A loader returns `{'train': Dataset, 'validation': Dataset, 'test': Dataset}`; its docstring says how the splits were cut.
"""
NAMES = {**{name: name for name in ('digits', 'domains', 'episodes', 'folder', 'glyphs', 'more_classes', 'npz', 'omniglot',
                                    'resampled', 'semi_supervised', 'sine', 'tfds')},
         **{name: 'benchmarks' for name in ('mnist', 'usps', 'mnist_m', 'office_caltech', 'amazon_reviews')}}
