"""Docstrings as the site shows them: doctests under a heading, and a method with its paper."""

import re

import griffe


class Docstrings(griffe.Extension):
    """Gives doctests a section of their own, and methods the docstring of their file."""

    def on_function(self, *, func: griffe.Function, **kwargs: object) -> None:
        """Changes the docstring of a function.

        Args:
            func: the function.
            **kwargs: the rest of what griffe tells.
        """
        module = func.parent
        own = module is not None and module.is_module and module.name == func.name
        paper = module.docstring.value if own and module.docstring else ''
        _change(func, paper)

    def on_class(self, *, cls: griffe.Class, **kwargs: object) -> None:
        """Changes the docstring of a class.

        Args:
            cls: the class.
            **kwargs: the rest of what griffe tells.
        """
        _change(cls, '')


def _change(told: griffe.Object, paper: str) -> None:
    if told.docstring is None:
        return
    text = told.docstring.value
    text, *doctest = re.split(r'^(?=>>> )', text, maxsplit=1, flags=re.MULTILINE)
    if paper:
        summary, _, rest = text.partition('\n\n')
        text = f'{summary}\n\n{paper}\n\n{rest}'
    if doctest:
        lines = ''.join(f'    {line}\n' if line else '\n' for line in doctest[0].split('\n'))
        text = f'{text.rstrip()}\n\nExamples:\n{lines}'
    told.docstring.value = text.rstrip() + '\n'
