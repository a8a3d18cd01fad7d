"""Parts of methods that fine-tune with a term beside the loss of the labels, many of which keep a
frozen copy of the source network.

The copy is made by `Method.remember`, before the first step and after the graft, and stands in the
method's state: it has no gradient, no optimiser and no place in the partition. Every phase of a run
makes its own copy, of the network as it starts with it.
"""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import optax

from tljax.core import Batch, Dataset, Method, Net, Tree, UserError
from tljax.losses import linear
from tljax.methods.fine_tuning.finetune import finetune, label_error
from tljax.protocols import Remember, Term


def regularised(
    net: Net,
    classes: int,
    term: Term,
    remember: Remember = lambda params, state, start: state,
    source_classes: int = 0,
    several: bool = False,
    labels: float = 1.0,
) -> Method:
    """Makes the method that minimises labels * loss of the labels + term.

    Args:
        net: the backbone.
        classes: number of classes; 0 for regression.
        term: (params, state, taps, batch) -> scalar. `taps` are the network's intermediates.
        remember: as `Method.remember`; what it adds to the state, the term finds there.
        source_classes: outputs of the source's classifier, the player `source_head`, which
            `build` takes from the donor; 0 for none.
        several: as in `finetune`.
        labels: weight of the loss of the labels.

    Returns:
        A Method over params {'backbone', 'head'}, and 'source_head' if there is one. Its predict is
        that of `finetune`. The metric 'loss' is that of the labels, and 'term' the value of the
        term.

    >>> from tljax.core import Tick
    >>> from tljax.zoo.families.identity import identity
    >>> method = regularised(
    ...     identity(1), 2, lambda params, state, taps, batch: 3 * jnp.mean(taps['features'])
    ... )
    >>> batch = {'input': jnp.ones((1, 1)), 'label': jnp.array([0])}
    >>> params, state = jax.jit(method.init)(jax.random.key(0), batch)
    >>> loss = jax.jit(method.loss)(params, state, batch, Tick(0, jax.random.key(0)))[0]
    >>> round(float(loss), 4)  # log 2 + 3 * 1
    3.6931
    """
    base_method = finetune(net, classes, several=several)

    def init(key, batch):
        params, state = base_method.init(key, batch)
        if source_classes:
            kernel, bias = jnp.zeros((net.dim, source_classes)), jnp.zeros(source_classes)
            params = {**params, 'source_head': {'kernel': kernel, 'bias': bias}}
        return params, state

    def loss(params, state, batch, tick):
        taps, backbone_state = net.features(
            params['backbone'], state['backbone'], batch['input'], tick.key
        )
        outputs = linear(params['head'], taps['features'])
        error, metrics = label_error(outputs, batch, classes, several=several)
        value = term(params, state, taps, batch)
        return labels * error + value, (
            {**state, 'backbone': backbone_state},
            {**metrics, 'term': value},
        )

    return Method(init, loss, base_method.predict, remember)


def frozen_copy(params: Tree, state: Tree, head: str = 'source_head') -> Tree:
    """Returns a network as it is now, for a method's state.

    Args:
        params: parameters of a method, or of a finished run.
        state: its state.
        head: the player that is copied beside the backbone, if there is one.

    Returns:
        {'params', 'state', 'head'}; 'head' only if there is one.

    >>> params = {'backbone': 'w', 'head': 'new', 'source_head': 'old'}
    >>> frozen_copy(params, {'backbone': 'statistics'})
    {'head': 'old', 'params': 'w', 'state': 'statistics'}
    """
    copy = {'params': params['backbone'], 'state': state['backbone']}
    if head in params:
        copy['head'] = params[head]
    return jax.tree.map(lambda leaf: leaf, copy)  # dicts of its own, which nobody else changes


def source_taps(net: Net, source: Tree, input: jax.Array) -> dict[str, jax.Array]:
    """Computes the intermediates of a frozen copy, at inference.

    Args:
        net: the network of the copy.
        source: the copy (`frozen_copy`).
        input: (n, ...).

    Returns:
        The intermediates, and 'logits' if the copy has a head.

    >>> from tljax.zoo.families.identity import identity
    >>> head = {'kernel': jnp.full((1, 1), 2.0), 'bias': jnp.ones(1)}
    >>> source_taps(identity(1), {'params': {}, 'state': {}, 'head': head}, jnp.ones((1, 1)))[
    ...     'logits'
    ... ].tolist()
    [[3.0]]
    """
    taps, _ = net.features(source['params'], source['state'], input)
    return (
        {**taps, 'logits': linear(source['head'], taps['features'])} if 'head' in source else taps
    )


def softened_cross_entropy(
    logits: jax.Array, other_logits: jax.Array, temperature: float
) -> jax.Array:
    """Cross-entropy of two softened predictions, softmax(logits / temperature), per example: (n,).

    Args:
        logits: of the network that is trained, (n, c).
        other_logits: of the network that it follows, (n, c).
        temperature: above 1 it makes both predictions softer.

    >>> logits = jnp.array([[2.0, 0.0]])
    >>> round(float(softened_cross_entropy(logits, logits, 1.0)[0]), 4)  # of .88 and .12
    0.3653
    """
    return optax.softmax_cross_entropy(
        logits / temperature, jax.nn.softmax(other_logits / temperature)
    )


def refuse_temperature(temperature: float) -> None:
    """Refuses a temperature that is not above 0.

    Args:
        temperature: the temperature.

    Raises:
        UserError: names the setting.

    >>> refuse_temperature(0)
    Traceback (most recent call last):
    tljax.core.UserError: method.temperature=0: give a number above 0, such as 2
    """
    if not temperature > 0:
        raise UserError(f'method.temperature={temperature}: give a number above 0, such as 2')


def refuse_numbers(name: str, classes: int) -> None:
    """Refuses data without classes (regression).

    Args:
        name: of the method.
        classes: number of classes; 0 for regression.

    Raises:
        UserError: names the method.

    >>> refuse_numbers('delta', 0)
    Traceback (most recent call last):
    tljax.core.UserError: method.name='delta' needs classes, and this data has numbers: take ...
    """
    if not classes:
        raise UserError(
            f'method.name={name!r} needs classes, and this data has numbers: take finetune'
        )


def batches_of(dataset: Dataset, most: int | None = None, size: int = 64) -> Iterator[Batch]:
    """Yields the examples of a dataset, or some of them at equal distances, in batches.

    Args:
        dataset: the examples.
        most: the largest number of examples; None for all.
        size: examples in a batch.

    >>> from tljax.data import arrays
    >>> batches = batches_of(arrays(np.arange(10.0), np.arange(10)), most=4, size=3)
    >>> [batch['label'].tolist() for batch in batches]
    [[0, 3, 6], [9]]
    """
    count = min(dataset.size, most or dataset.size)
    rows = np.linspace(0, dataset.size - 1, count).round().astype(int)
    for start in range(0, count, size):
        yield dataset.take(rows[start : start + size])


def linear_classifier(
    features: np.ndarray,
    label: np.ndarray,
    classes: int,
    inverse_penalty: float = 1.0,
    intercept: bool = True,
) -> dict[str, np.ndarray]:
    """Fits a linear classifier by logistic regression with a penalty.

    Args:
        features: (n, d).
        label: two classes or more, (n,).
        classes: number of all classes. One without an example gets a probability of 0.
        inverse_penalty: C of scikit-learn's `LogisticRegression`.
        intercept: whether the other classes have a bias.

    Returns:
        {'kernel': (d, classes), 'bias': (classes,)}.

    >>> head = linear_classifier(np.array([[-1.0], [1.0]]), np.array([0, 2]), classes=3)
    >>> logits = linear(head, np.array([[-1.0], [1.0]]))
    >>> jax.nn.softmax(logits).argmax(-1).tolist(), jax.nn.softmax(logits)[:, 1].tolist()
    ([0, 2], [0.0, 0.0])
    """
    from sklearn.linear_model import LogisticRegression  # imported late, for a quick start

    regression = LogisticRegression(C=inverse_penalty, fit_intercept=intercept, max_iter=1000)
    regression.fit(features, label)
    weights, offsets = (
        regression.coef_.T,
        np.broadcast_to(regression.intercept_, len(regression.coef_)),
    )
    if len(regression.classes_) == 2:  # scikit-learn has one logit, the difference of the two
        weights, offsets = np.hstack([-weights, weights]) / 2, np.hstack([-offsets, offsets]) / 2
    kernel, bias = np.zeros((features.shape[1], classes)), np.full(classes, -1e9)
    kernel[:, regression.classes_], bias[regression.classes_] = weights, offsets
    return {'kernel': kernel.astype(np.float32), 'bias': bias.astype(np.float32)}
