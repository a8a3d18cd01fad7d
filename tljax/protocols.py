"""Types of the functions in the fields of `Method`, `Net`, `Dataset` and `Stream`.

A field may hold any function with these arguments. The order of the arguments counts, their names
do not. For example, linear regression as a `Method`:

>>> import jax
>>> import jax.numpy as jnp
>>> from tljax.core import Method
>>> def init(key, batch):  # an Init
...     return {'head': jnp.zeros(batch['input'].shape[1])}, {}
>>> def predict(params, state, batch):  # a Predict
...     return {'output': batch['input'] @ params['head'], 'label': batch['label']}
>>> def loss(params, state, batch, tick):  # a Loss
...     output = predict(params, state, batch)['output']
...     value = jnp.mean((output - batch['label']) ** 2)
...     return value, (state, {'loss': value})
>>> method = Method(init, loss, predict)

One gradient step fits the line y = 2 x:

>>> batch = {'input': jnp.array([[1.0], [2.0]]), 'label': jnp.array([2.0, 4.0])}
>>> params, state = method.init(jax.random.key(0), batch)
>>> gradient, (_, metrics) = jax.grad(method.loss, has_aux=True)(params, state, batch, None)
>>> params = jax.tree.map(lambda p, g: p - 0.2 * g, params, gradient)
>>> float(metrics['loss']), float(method.loss(params, state, batch, None)[0])
(10.0, 0.0)
>>> method.predict(params, state, batch)['output'].tolist()
[2.0, 4.0]
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import jax
    from jax.typing import ArrayLike

    from tljax.core import Method, Net, Start, Tick, TrainState

Tree = Any  # a pytree of arrays
# {'input': tree, 'label': (n,) or (n, d), optional 'weight': (n,)}, or a dict of such sets
Batch = Any
# one setting of a config; JSON can hold it
Setting = bool | int | float | str | Sequence[Any] | dict[str, Any] | None
Rows = Any  # indices: an integer array (n, ...), or a tree of them
Config = dict[str, Any]  # settings by name, or a function's name with its keywords
Cell = str | int | float | None  # one cell of a table
Record = dict[str, Any]  # results of a run, a study or a file; JSON can hold them


class Init(Protocol):
    """`Method.init`: makes what is trained, before the first step.

    >>> import numpy as np
    >>> def init(key, batch):
    ...     return {'head': np.zeros((batch['input'].shape[1], 2))}, {}
    >>> params, state = init(None, {'input': np.ones((5, 3)), 'label': np.zeros(5, int)})
    >>> params['head'].shape
    (3, 2)
    """

    def __call__(self, key: jax.Array, batch: Batch, /) -> tuple[Tree, Tree]:
        """Makes parameters and state.

        Args:
            key: random key of the run's seed.
            batch: an example of a batch; only its shapes and dtypes matter.

        Returns:
            The parameters, a dict whose top level names the players (`backbone`, `head`, `critic`),
            and the state, which is not differentiated (BatchNorm statistics, a moving average).
        """
        ...


class Loss(Protocol):
    """`Method.loss`: computes the scalar whose gradient trains the parameters.

    >>> import numpy as np
    >>> def loss(params, state, batch, tick):
    ...     value = np.mean((batch['input'] @ params['head'] - batch['label']) ** 2)
    ...     return value, (state, {'loss': value})
    >>> batch = {'input': np.array([[1.0], [2.0]]), 'label': np.array([1.0, 4.0])}
    >>> value, (state, metrics) = loss({'head': np.ones(1)}, {}, batch, None)
    >>> float(value)
    2.0
    """

    def __call__(
        self, params: Tree, state: Tree, batch: Batch, tick: Tick, /
    ) -> tuple[jax.Array, tuple[Tree, dict[str, jax.Array]]]:
        """Computes the loss of a batch.

        Args:
            params: parameters in the structure that `init` made; frozen ones carry no gradient.
            state: the state that `init` made, or that the previous step returned.
            batch: the step's batch.
            tick: the step's number and random key.

        Returns:
            The scalar to differentiate, and a pair: the new state and the metrics.
            `metrics['loss']` is the value to read.
        """
        ...


class Predict(Protocol):
    """`Method.predict`: computes a model's outputs.

    >>> import numpy as np
    >>> def predict(params, state, batch):
    ...     return {'output': batch['input'] @ params['head'], 'label': batch['label']}
    >>> batch = {'input': np.array([[1.0], [2.0]]), 'label': np.array([1.0, 4.0])}
    >>> predict({'head': np.array([2.0])}, {}, batch)['output'].tolist()
    [2.0, 4.0]
    """

    def __call__(self, params: Tree, state: Tree, batch: Batch, /) -> dict[str, jax.Array]:
        """Computes the outputs for a batch.

        Args:
            params: parameters of one seed.
            state: state of one seed.
            batch: a batch; its labels are returned beside the outputs.

        Returns:
            {'output': (n, ...), 'label': (n, ...)}; axis 0 counts examples or episodes.
        """
        ...


class Remember(Protocol):
    """`Method.remember`: adds to the state what the loss must know of the moment before training.

    >>> import numpy as np
    >>> def remember(params, state, start):
    ...     return {**state, 'start': params['head']}
    >>> remember({'head': np.ones(2)}, {}, None)['start'].tolist()
    [1.0, 1.0]
    """

    def __call__(self, params: Tree, state: Tree, start: Start, /) -> Tree:
        """Adds the memory.

        Args:
            params: parameters before the first step, after the graft.
            state: state before the first step, after the graft.
            start: the seed's examples, and the teacher where there is one.

        Returns:
            The state with the memory. It is not differentiated, and the loss returns it unchanged.
        """
        ...


class NetInit(Protocol):
    """`Net.init`: makes a network's parameters and statistics.

    >>> import jax
    >>> def init(key, input):
    ...     return {'layer': {'kernel': jax.random.normal(key, (input.shape[-1], 4))}}, {}
    >>> params, state = init(jax.random.key(0), jax.numpy.ones((1, 3)))
    >>> params['layer']['kernel'].shape
    (3, 4)
    """

    def __call__(self, key: jax.Array, input: Tree, /) -> tuple[Tree, Tree]:
        """Makes parameters and state.

        Args:
            key: random key.
            input: an example (n, ...) of the inputs; only its shape and dtype matter.

        Returns:
            The parameters and the state.
        """
        ...


class Features(Protocol):
    """`Net.features`: computes a network's features and all intermediate values.

    >>> import numpy as np
    >>> def features(params, state, input, key=None):
    ...     hidden = np.maximum(input @ params['layer']['kernel'], 0)
    ...     return {'layer': hidden, 'features': hidden / 2}, state
    >>> taps, state = features({'layer': {'kernel': np.eye(2)}}, {}, np.array([[4.0, -1.0]]))
    >>> taps['features'].tolist()
    [[2.0, 0.0]]
    """

    def __call__(
        self, params: Tree, state: Tree, input: Tree, key: jax.Array | None = None, /
    ) -> tuple[dict[str, jax.Array], Tree]:
        """Computes the features of inputs.

        Args:
            params: parameters of the network.
            state: statistics of the network.
            input: (n, ...).
            key: None for inference; a random key for training, with dropout and batch statistics.

        Returns:
            The taps, {'stage1': ..., 'features': (n, dim)}, by the names of the network's groups,
            and the new state.
        """
        ...


class Take(Protocol):
    """`Dataset.take` and `Stream.take`: read examples by index.

    >>> import numpy as np
    >>> inputs, labels = np.arange(8.0).reshape(4, 2), np.array([0, 1, 0, 1])
    >>> def take(index):
    ...     return {'input': inputs[index], 'label': labels[index]}
    >>> take(np.array([3, 0]))['label'].tolist()
    [1, 0]
    """

    def __call__(self, index: Rows, /) -> Batch:
        """Reads examples.

        Args:
            index: indices of the examples.

        Returns:
            The batch of these examples.
        """
        ...


class Index(Protocol):
    """`Stream.index`: selects the examples of a step. Every host calls it, so it must be cheap.

    >>> import numpy as np
    >>> def index(seed, step):
    ...     return np.random.default_rng([seed, step]).integers(0, 1000, size=16)
    >>> bool((index(seed=0, step=7) == index(seed=0, step=7)).all())  # no hidden state
    True
    """

    def __call__(self, seed: int, step: int, /) -> Rows:
        """Selects the examples of a step.

        Args:
            seed: seed of the run.
            step: number of the step, from 0.

        Returns:
            Indices of the examples.
        """
        ...


class Prepare(Protocol):
    """`Stream.prepare`: changes a batch on the device, at the start of the compiled step.

    >>> import numpy as np
    >>> def prepare(batch):
    ...     return {**batch, 'input': batch['input'] / 255}
    >>> prepare({'input': np.array([[0.0, 255.0]]), 'label': np.array([3])})['input'].tolist()
    [[0.0, 1.0]]
    """

    def __call__(self, batch: Batch, /) -> Batch:
        """Augments a batch, or makes it from keys.

        Args:
            batch: the batch that `take` read.

        Returns:
            The batch for the method's loss.
        """
        ...


class Example(Protocol):
    """`Dataset.example`: draws one more example on the device.

    >>> import jax
    >>> def example(key):
    ...     x = jax.random.uniform(key)
    ...     return {'input': x[None], 'label': jax.numpy.sin(x)[None]}
    >>> example(jax.random.key(0))['input'].shape
    (1,)
    """

    def __call__(self, key: jax.Array, /) -> Batch:
        """Draws an example.

        Args:
            key: random key.

        Returns:
            The example, without the axis of the batch.
        """
        ...


class Step(Protocol):
    """One training step of one seed (`engine.step.make_step`).

    >>> from tljax.core import TrainState
    >>> def step(state, batch, seed):
    ...     difference = state.params - batch
    ...     state = state._replace(step=state.step + 1, params=state.params - 0.5 * difference)
    ...     return state, {'loss': difference**2}
    >>> state, metrics = step(
    ...     TrainState(0, params=4.0, variables={}, opt_state=()), batch=2.0, seed=0
    ... )
    >>> state.params, metrics
    (3.0, {'loss': 4.0})
    """

    def __call__(
        self, state: TrainState, batch: Batch, seed: int | jax.Array, /
    ) -> tuple[TrainState, dict[str, jax.Array]]:
        """Updates the state with a batch.

        Args:
            state: state of one seed.
            batch: the step's batch.
            seed: seed of the run.

        Returns:
            The new state and the metrics.
        """
        ...


class StoredStatistics(Protocol):
    """Selects the BatchNorm layers that use their stored statistics during training.

    >>> def stored(path):
    ...     return path.startswith('stage1/')
    >>> stored('stage1/norm'), stored('stage2/norm')
    (True, False)
    """

    def __call__(self, path: str, /) -> bool:
        """Returns whether a layer uses its stored statistics.

        Args:
            path: path of the layer's parameters in the network, 'stage1/norm'.
        """
        ...


class Player(Protocol):
    """Makes the parameters of further players of a method, such as a critic.

    >>> import numpy as np
    >>> def critic(key, taps):
    ...     return {'critic': np.zeros((taps['features'].shape[-1], 1))}
    >>> critic(None, {'features': np.ones((8, 5))})['critic'].shape
    (5, 1)
    """

    def __call__(self, key: jax.Array, taps: dict[str, Any], /) -> dict[str, Tree]:
        """Makes parameters.

        Args:
            key: random key.
            taps: shapes of the network's intermediate values and features.

        Returns:
            {player: parameters}.
        """
        ...


class Augmentation(Protocol):
    """Changes one example at random (`nn.augment`).

    >>> import jax
    >>> def flip(key, input):
    ...     return jax.numpy.where(jax.random.bernoulli(key), input[:, ::-1], input)
    >>> flip(jax.random.key(0), jax.numpy.ones((4, 4, 3))).shape
    (4, 4, 3)
    """

    def __call__(self, key: jax.Array, input: jax.Array, /) -> jax.Array:
        """Changes an example.

        Args:
            key: random key of the example.
            input: float32 (h, w, c) in [0, 1].

        Returns:
            The changed example.
        """
        ...


class Align(Protocol):
    """The term that a method of adaptation adds to the source's loss (`two_domains.adapting`).

    >>> import numpy as np
    >>> def align(params, source, target, strength):
    ...     gap = source['features'].mean(0) - target['features'].mean(0)
    ...     return strength * (gap**2).sum()
    >>> source, target = {'features': np.ones((4, 2))}, {'features': np.zeros((4, 2))}
    >>> float(align({}, source, target, strength=0.5))
    1.0
    """

    def __call__(
        self,
        params: Tree,
        source: dict[str, jax.Array],
        target: dict[str, jax.Array],
        strength: ArrayLike,
        /,
    ) -> ArrayLike:
        """Computes the term: a scalar that decreases as the two domains become alike.

        Args:
            params: parameters of all players.
            source: the network's values for the source, {'logits', 'features', ...}.
            target: the network's values for the target, with as many rows.
            strength: current weight of the term.

        Returns:
            The term, multiplied by its weight.
        """
        ...


class Term(Protocol):
    """The term that a method of fine-tuning adds to the loss of the labels (`regularised`).

    >>> import numpy as np
    >>> def shrink(params, state, taps, batch):
    ...     return 0.1 * (taps['features'] ** 2).mean()
    >>> round(float(shrink({}, {}, {'features': np.full((4, 2), 3.0)}, {})), 6)
    0.9
    """

    def __call__(
        self, params: Tree, state: Tree, taps: dict[str, jax.Array], batch: Batch, /
    ) -> jax.Array:
        """Computes the term.

        Args:
            params: parameters of all players.
            state: state of the method, with what it remembers.
            taps: the network's intermediates for the batch.
            batch: the step's batch.

        Returns:
            The term, a scalar, multiplied by its weight.
        """
        ...


class Answer(Protocol):
    """A head that turns features into logits, such as `losses.linear`.

    >>> import numpy as np
    >>> def scaled(head, features):
    ...     return head['scale'] * features @ head['kernel']
    >>> scaled({'scale': 10.0, 'kernel': np.eye(2)}, np.array([[1.0, 0.5]])).tolist()
    [[10.0, 5.0]]
    """

    def __call__(self, head: Tree, features: jax.Array, /) -> jax.Array:
        """Computes logits.

        Args:
            head: parameters of the head.
            features: (n, dim).

        Returns:
            Logits, (n, classes).
        """
        ...


class Comparison(Protocol):
    """Compares an episode's queries with its support set (`few_shot.episodes`).

    >>> import numpy as np
    >>> def to_prototypes(head, support, query):
    ...     prototypes = support.mean(1)  # (n, d)
    ...     return -((query[:, None] - prototypes) ** 2).sum(-1)
    >>> support = np.array([[[0.0], [2.0]], [[4.0], [6.0]]])  # two classes, two shots
    >>> to_prototypes({}, support, query=np.array([[2.0]])).tolist()
    [[-1.0, -9.0]]
    """

    def __call__(self, head: Tree, support: jax.Array, query: jax.Array, /) -> jax.Array:
        """Computes the logits of one episode.

        Args:
            head: parameters of the comparison, or other data that the method passes to it.
            support: embeddings (n, k, ...) of n classes with k shots.
            query: embeddings (m, ...).

        Returns:
            Logits, (m, n).
        """
        ...


class Head(Protocol):
    """Makes the parameters of a comparison (`few_shot.episodes.metric`).

    >>> import numpy as np
    >>> def head(key, embedding):
    ...     return {'weights': np.ones(embedding.shape[-1])}
    >>> head(None, np.zeros(3))['weights'].tolist()
    [1.0, 1.0, 1.0]
    """

    def __call__(self, key: jax.Array, embedding: jax.Array, /) -> Tree:
        """Makes parameters.

        Args:
            key: random key.
            embedding: embedding of one example; only its shape matters.

        Returns:
            The parameters.
        """
        ...


class Values(Protocol):
    """Computes one loss value per example, as `losses.cross_entropy` does.

    >>> import numpy as np
    >>> def absolute_error(output, label):
    ...     return np.abs(output[..., 0] - label)
    >>> absolute_error(np.array([[1.0], [5.0]]), np.array([2.0, 2.0])).tolist()
    [1.0, 3.0]
    """

    def __call__(self, output: jax.Array, label: jax.Array, /) -> jax.Array:
        """Computes the values.

        Args:
            output: (..., n).
            label: (...).

        Returns:
            Loss values, (...).
        """
        ...


class Factory(Protocol):
    """Makes a method over a network, as `finetune` does.

    >>> from tljax.methods.fine_tuning.finetune import finetune
    >>> from tljax.zoo import identity
    >>> import jax
    >>> method = finetune(identity(dim=3), 2)
    >>> params, _ = method.init(jax.random.key(0), {'input': jax.numpy.ones((1, 3))})
    >>> params['head']['kernel'].shape
    (3, 2)
    """

    def __call__(self, net: Net, classes: int, /) -> Method:
        """Makes the method.

        Args:
            net: the backbone.
            classes: number of classes; 0 for regression.

        Returns:
            The method.
        """
        ...
