"""What a reader of weights returns."""

from typing import NamedTuple

from tljax.protocols import Tree
from tljax.zoo.weights.above import Above


class Loaded(NamedTuple):
    """Parameters and statistics of a network from a file, and the file's other layers.

    Attributes:
        params: {'backbone': ...}, NumPy, float32. 'head' is {'kernel': (dim, n), 'bias': (n,)},
            where the file has a linear layer on the features, or on `above.dense`.
        state: {'backbone': ...}.
        above: the layers above the network.
        spare: names of the file's layers above the network.
        shape: shape of the inputs of a whole saved model; () where unknown.
        prepared: names of the layers without weights before the network that may preprocess
            pictures otherwise than the network does.
        before: names of the layers with weights before the network. If there are any, the network
            has no head.
        text: parameters of CLIP's tower for texts (`families.clip.TextTower`), and `logit_scale`;
            {} where the file has none.
    """

    params: Tree
    state: Tree
    above: Above
    spare: tuple[str, ...]
    shape: tuple[int | None, ...]
    prepared: tuple[str, ...]
    before: tuple[str, ...]
    text: Tree = {}  # noqa: RUF012
