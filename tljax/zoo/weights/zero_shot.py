"""A head for CLIP from names of classes alone: Radford et al. 2021, sections 3.1.2 and 3.1.4
(https://arxiv.org/abs/2103.00020)."""

from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np

from tljax.core import UserError, abbreviated
from tljax.protocols import Record, Tree
from tljax.zoo.families.clip import TextTower
from tljax.zoo.weights.tokens import tokens, vocabulary_beside

PROMPT = 'a photo of a {}.'  # the paper's own, section 3.1.4
TEXTS = 64  # texts in the tower at a time


def prompts(text: str) -> tuple[str, ...]:
    """Returns the prompts of a text, between which stands |.

    Args:
        text: prompts, in which {} stands for the name of a class.

    Raises:
        UserError: a prompt has no {}.

    >>> prompts('a photo of a {}|a drawing of a {}')
    ('a photo of a {}', 'a drawing of a {}')
    >>> prompts('a photo')
    Traceback (most recent call last):
    tljax.core.UserError: --prompt='a photo' has no {} for the name of a class: write 'a ...
    """
    parts = tuple(part.strip() for part in text.split('|'))
    for part in parts:
        if '{}' not in part:
            raise UserError(
                f"--prompt={part!r} has no {{}} for the name of a class: write 'a photo of a {{}}'"
            )
    return parts


def head(
    text: Tree,
    classes: Sequence[str],
    weights: str | Path,
    prompts: Sequence[str] = (PROMPT,),
    activation: str = 'quick_gelu',
) -> Record:
    """Returns a linear layer on CLIP's features, whose softmax are CLIP's probabilities.

    A class is the mean of the embeddings of its prompts, at length 1. Its logit is the similarity
    of a picture to it, times the factor that CLIP has learnt.

    Args:
        text: parameters of the tower for texts, and `logit_scale`, as `Loaded.text` has them.
        classes: names of the classes; _ stands for a space.
        weights: path of the file of weights, beside which the vocabulary lies.
        prompts: texts in which {} stands for the name of a class.
        activation: of the tower, as `families.clip.clip` has it.

    Returns:
        {'kernel': (dim, classes), 'bias': (classes,)}, float32.

    Raises:
        UserError: as `tokens.vocabulary_beside`; for a vocabulary with more tokens than the tower.

    Source:
        Radford et al. 2021, figure 3 and section 3.1.4, https://arxiv.org/abs/2103.00020

    >>> head({}, ['ant', 'bee'], 'nowhere/model.safetensors')
    Traceback (most recent call last):
    tljax.core.UserError: nowhere has no tokenizer.json, nor vocab.json and merges.txt, ...
    """
    tokenizer = vocabulary_beside(weights)
    names = [name.replace('_', ' ') for name in classes]
    texts = [prompt.replace('{}', name) for name in names for prompt in prompts]
    params = {name: leaf for name, leaf in text.items() if name != 'logit_scale'}
    tower = _tower(params, activation)
    numbers, ends = tokens(tokenizer, texts, tower.context)
    unknown = np.unique(numbers[numbers >= tower.vocabulary])
    if len(unknown):
        raise UserError(
            f'the vocabulary beside {weights} has tokens that its tower for texts has not '
            f'({abbreviated(unknown, 4)} of {tower.vocabulary:,}): copy the vocabulary of these '
            'weights there'
        )
    embeddings = _embeddings(tower, params, numbers, ends)
    means = embeddings.reshape(len(names), len(prompts), -1).mean(1)
    means /= np.linalg.norm(means, axis=-1, keepdims=True)
    kernel = np.exp(np.float32(text['logit_scale'])) * means.T
    return {'kernel': kernel.astype(np.float32), 'bias': np.zeros(len(names), np.float32)}


def _tower(params: Tree, activation: str) -> TextTower:
    """The tower whose parameters these are."""
    vocabulary, width = params['token_embedding'].shape
    return TextTower(
        vocabulary,
        len(params['positional_embedding']),
        width,
        depth=sum(name.startswith('blocks.') for name in params),
        dim=params['projection']['kernel'].shape[1],
        activation=activation,
    )


def _embeddings(tower, params, numbers, ends):
    """Embeddings (n, dim) of texts, TEXTS at a time, so that one compiled function serves all."""
    count, size = len(numbers), min(TEXTS, len(numbers))
    spare = -count % size
    numbers = np.pad(numbers, ((0, spare), (0, 0)))
    ends = np.pad(ends, (0, spare))
    embed = jax.jit(tower.apply)
    parts = [
        np.asarray(embed({'params': params}, numbers[i : i + size], ends[i : i + size]))
        for i in range(0, count, size)
    ]
    return np.concatenate(parts)[:count]
