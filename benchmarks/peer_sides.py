"""Shallow adaptation by skada and ADAPT: the sides that `benchmarks.peers` holds beside tljax's."""

import numpy as np
from adapt.instance_based import KLIEP, KMM, RULSIF, ULSIF
from skada import (
    CORALAdapter,
    KLIEPReweightAdapter,
    KMMReweightAdapter,
    SubspaceAlignmentAdapter,
    TransferComponentAnalysisAdapter,
)

from tljax.kernels import median_width
from tljax.shallow import instance, mapping


def components(xs, xt):
    """{by: a call that maps both domains by transfer component analysis}."""
    return {
        'tljax': lambda: mapping.tca(xs, xt, dim=30),
        'skada': lambda: _mapped(_tca(), xs, None, xt),
    }


def weighers(xs, xt):
    """{method: {by: a call without arguments that returns weights (ns,)}}."""
    width = float(median_width(xs, xt))
    gamma, gammas = 1 / (2 * width**2), [1 / (2 * (width * each) ** 2) for each in instance.WIDTHS]
    grid = dict(gamma=gammas, max_centers=100, verbose=0, random_state=0)
    penalties = list(instance.PENALTIES)

    def skada(adapter):
        x, domain = np.concatenate([xs, xt]), np.repeat([1, -2], [len(xs), len(xt)])
        return adapter.fit(x, sample_domain=domain).compute_weights(x, sample_domain=domain)[
            : len(xs)
        ]

    return {
        'KMM': {
            'tljax': lambda: instance.kmm(xs, xt, width),
            'skada': lambda: skada(KMMReweightAdapter(gamma=gamma)),
            'ADAPT': lambda: KMM(
                gamma=gamma, verbose=0, random_state=0, max_size=len(xs)
            ).fit_weights(xs, xt),
        },
        'KLIEP': {
            'tljax': lambda: instance.kliep(xs, xt),
            'skada': lambda: skada(KLIEPReweightAdapter(gamma=gammas, random_state=0)),
            'ADAPT': lambda: KLIEP(**grid).fit_weights(xs, xt),
        },
        'uLSIF': {
            'tljax': lambda: instance.ulsif(xs, xt),
            'ADAPT': lambda: ULSIF(**grid, lambdas=penalties).fit_weights(xs, xt),
        },
        'RuLSIF': {
            'tljax': lambda: instance.rulsif(xs, xt),
            'ADAPT': lambda: RULSIF(**grid, lambdas=penalties).fit_weights(xs, xt),
        },
    }


def maps(xs, ys, xt):
    """{method: {by: a call without arguments that returns (zs, zt)}}."""
    return {
        'subspace alignment': {
            'tljax': lambda: mapping.subspace_alignment(xs, xt, dim=30),
            'skada': lambda: _mapped(
                SubspaceAlignmentAdapter(n_components=30, random_state=0), xs, ys, xt
            ),
        },
        'CORAL': {
            'tljax': lambda: mapping.coral(xs, xt),
            'skada': lambda: _mapped(CORALAdapter(), xs, ys, xt),
        },
        'TCA': {
            'tljax': lambda: mapping.tca(xs, xt, dim=30),
            'skada': lambda: _mapped(_tca(), *_unit(xs), ys, *_unit(xt)),
        },
    }


def _tca():
    return TransferComponentAnalysisAdapter(kernel='linear', n_components=30, mu=1.0)


def _unit(x):
    return (x / np.linalg.norm(x, axis=1, keepdims=True),)


def _mapped(adapter, xs, ys, xt):
    x, domain = np.concatenate([xs, xt]), np.repeat([1, -2], [len(xs), len(xt)])
    y = None if ys is None else np.concatenate([ys, np.full(len(xt), -1)])
    z = adapter.fit_transform(x, y, sample_domain=domain)
    z = z[0] if isinstance(z, tuple) else z
    return z[: len(xs)], z[len(xs) :]
