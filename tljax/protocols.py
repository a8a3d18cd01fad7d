"""What the functions in the fields of `Method`, `Net`, `Dataset` and `Stream` take and give.

A field may hold any function of these arguments; their order counts, not their names.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import jax
    from jax.typing import ArrayLike

    from tljax.core import Method, Net, Tick, TrainState

Tree = Any  # a pytree of arrays
# {'input': tree, 'label': (n,) or (n, d), optional 'weight': (n,)}, or a dict of such sets
Batch = Any
Setting = (
    bool | int | float | str | Sequence[Any] | dict[str, Any] | None
)  # of a config, as in a JSON file
Rows = Any  # an integer array (n, ...), or a tree of them
Config = dict[str, Any]  # settings by name, or the name of a function with its keywords
Cell = str | int | float | None  # of a table
Record = dict[str, Any]  # what a run, a study or a file tells, as JSON holds it


class Init(Protocol):
    """`Method.init`: what is trained, before the first step."""

    def __call__(self, key: jax.Array, batch: Batch, /) -> tuple[Tree, Tree]:
        """Makes parameters and state.

        Args:
            key: random key of the run's seed.
            batch: an example of a batch; its shapes and dtypes count, its numbers need not.

        Returns:
            Parameters, a dict whose top level names the players (`backbone`, `head`, `critic`),
            and the state, which is not differentiated (BatchNorm statistics, a moving average).
        """
        ...


class Loss(Protocol):
    """`Method.loss`: the scalar whose gradient trains."""

    def __call__(
        self, params: Tree, state: Tree, batch: Batch, tick: Tick, /
    ) -> tuple[jax.Array, tuple[Tree, dict[str, jax.Array]]]:
        """Computes the loss of a batch.

        Args:
            params: as `init` made them; what is frozen carries no gradient.
            state: as `init` made it, moved by the steps before.
            batch: of the step.
            tick: the step's number and random key.

        Returns:
            The scalar to differentiate; and the moved state with the metrics, of which
            `metrics['loss']` is the one that people read.
        """
        ...


class Predict(Protocol):
    """`Method.predict`: what a model says."""

    def __call__(self, params: Tree, state: Tree, batch: Batch, /) -> dict[str, jax.Array]:
        """Answers a batch.

        Args:
            params: of one seed.
            state: of one seed.
            batch: whose labels are passed on.

        Returns:
            {'output': (n, ...), 'label': (n, ...)}; axis 0 counts examples or episodes.
        """
        ...


class NetInit(Protocol):
    """`Net.init`: a network's parameters and statistics."""

    def __call__(self, key: jax.Array, input: Tree, /) -> tuple[Tree, Tree]:
        """Makes parameters and state.

        Args:
            key: random key.
            input: an example (n, ...) of the inputs; its shape and dtype count.
        """
        ...


class Features(Protocol):
    """`Net.features`: everything that a network computes on the way to its features."""

    def __call__(
        self, params: Tree, state: Tree, input: Tree, key: jax.Array | None = None, /
    ) -> tuple[dict[str, jax.Array], Tree]:
        """Computes the features of inputs.

        Args:
            params: of the network.
            state: its statistics.
            input: (n, ...).
            key: None for inference; a random key for training, with dropout and the statistics of
                the batch.

        Returns:
            The taps, {'stage1': ..., 'features': (n, dim)}, by the names of the groups; and the
            moved state.
        """
        ...


class Take(Protocol):
    """`Dataset.take` and `Stream.take`: examples by their places."""

    def __call__(self, index: Rows, /) -> Batch:
        """Reads examples.

        Args:
            index: places of the examples.
        """
        ...


class Index(Protocol):
    """`Stream.index`: which examples a step uses; cheap to make on every host."""

    def __call__(self, seed: int, step: int, /) -> Rows:
        """Draws places of examples.

        Args:
            seed: of the run.
            step: number of the step, from 0.
        """
        ...


class Prepare(Protocol):
    """`Stream.prepare`: what the compiled step does to a batch first, on the device."""

    def __call__(self, batch: Batch, /) -> Batch:
        """Augments a batch, or makes it from keys.

        Args:
            batch: as `take` read it.
        """
        ...


class Example(Protocol):
    """`Dataset.example`: one more example, made on the device."""

    def __call__(self, key: jax.Array, /) -> Batch:
        """Draws an example.

        Args:
            key: random key.
        """
        ...


class Step(Protocol):
    """One training step of one seed (`engine.step.make_step`)."""

    def __call__(
        self, state: TrainState, batch: Batch, seed: int | jax.Array, /
    ) -> tuple[TrainState, dict[str, jax.Array]]:
        """Moves the state by a batch.

        Args:
            state: of one seed.
            batch: of the step.
            seed: of the run.
        """
        ...


class StoredStatistics(Protocol):
    """Which BatchNorm layers run on their stored statistics while they are trained."""

    def __call__(self, path: str, /) -> bool:
        """Tells whether a layer does.

        Args:
            path: of the layer's parameters in the network, 'stage1/norm'.
        """
        ...


class Player(Protocol):
    """Further players of a method, such as a critic."""

    def __call__(self, key: jax.Array, taps: dict[str, Any], /) -> dict[str, Tree]:
        """Makes their parameters.

        Args:
            key: random key.
            taps: shapes of what the network computes.
        """
        ...


class Augmentation(Protocol):
    """What changes one example at random (`nn.augment`)."""

    def __call__(self, key: jax.Array, input: jax.Array, /) -> jax.Array:
        """Changes an example.

        Args:
            key: random key of the example.
            input: float32 (h, w, c) in [0, 1].
        """
        ...


class Align(Protocol):
    """What a method of adaptation adds to the loss of the source (`two_domains.adapting`)."""

    def __call__(
        self,
        params: Tree,
        source: dict[str, jax.Array],
        target: dict[str, jax.Array],
        strength: ArrayLike,
        /,
    ) -> ArrayLike:
        """Measures how far two domains are apart: a scalar.

        Args:
            params: of all players.
            source: what the network computes of the source, {'logits', 'features', ...}.
            target: what it computes of the target, as many rows.
            strength: present weight of the term.
        """
        ...


class Answer(Protocol):
    """A head on features, such as `losses.linear`."""

    def __call__(self, head: Tree, features: jax.Array, /) -> jax.Array:
        """Computes logits.

        Args:
            head: parameters of the head.
            features: (n, dim).
        """
        ...


class Comparison(Protocol):
    """How an episode's queries are compared with its support (`few_shot.episodes`)."""

    def __call__(self, head: Tree, support: jax.Array, query: jax.Array, /) -> jax.Array:
        """Computes logits of one episode, (m, n).

        Args:
            head: parameters of the comparison, or what else the method gives it.
            support: embeddings (n, k, ...).
            query: embeddings (m, ...).
        """
        ...


class Head(Protocol):
    """What a comparison has of parameters (`few_shot.episodes.metric`)."""

    def __call__(self, key: jax.Array, embedding: jax.Array, /) -> Tree:
        """Makes them.

        Args:
            key: random key.
            embedding: of one example; its shape counts.
        """
        ...


class Values(Protocol):
    """A loss of each example, such as `losses.cross_entropy`."""

    def __call__(self, output: jax.Array, label: jax.Array, /) -> jax.Array:
        """Computes values (...).

        Args:
            output: (..., n).
            label: (...).
        """
        ...


class Factory(Protocol):
    """What makes a method of a network, such as `finetune`."""

    def __call__(self, net: Net, classes: int, /) -> Method:
        """Makes the method.

        Args:
            net: the backbone.
            classes: number of classes; 0 for regression.
        """
        ...
