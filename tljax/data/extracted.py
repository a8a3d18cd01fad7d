"""What a network with ImageNet weights makes of a picture set, as a data set of its own: small networks learn on features in seconds."""
from tljax import build
from tljax.configuration import named


def extracted(of, net, weights='imagenet'):
    """The splits of a picture set, each picture as the features (dim,) of a network, float32; they are kept in the cache.

    Args:
        of: config of the set. net, weights: of the network, as `build.pretrained` takes them.

    Raises:
        Refused: as `build.pretrained`.

    >>> extracted({'name': 'digits'}, {'name': 'resnet50v1'})
    Traceback (most recent call last):
    tljax.core.Refused: net.name='resnet50v1' has no published ImageNet weights: did you mean resnet50v2?
    """
    params, state, _ = build.pretrained(net, weights, top=False)
    extract = build.extractor(named('tljax.zoo', net, 'data.net'))
    return {name: build.featured(net, extract, params, state, split) for name, split in named('tljax.data', of, 'data.of').items()}
