"""Calls of tljax, skada and ADAPT that `benchmarks.peers` compares."""

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
    """Returns {library: call that maps both domains by transfer component analysis}.

    Args:
        xs: inputs of the source, (ns, d).
        xt: inputs of the target, (nt, d).
    """
    return {
        'tljax': lambda: mapping.tca(xs, xt, dim=30),
        'skada': lambda: _map(_tca(), xs, None, xt),
    }


def weighers(xs, xt):
    """Returns {method: {library: call without arguments that returns weights (ns,)}}.

    Args:
        xs: inputs of the source, (ns, d).
        xt: inputs of the target, (nt, d).
    """
    width = float(median_width(xs, xt))
    gamma = 1 / (2 * width**2)
    gammas = [1 / (2 * (width * factor) ** 2) for factor in instance.WIDTHS]
    grid = dict(gamma=gammas, max_centers=100, verbose=0, random_state=0)
    penalties = list(instance.PENALTIES)

    def skada_weights(adapter):
        x, domain = _stack(xs, xt)
        adapter.fit(x, sample_domain=domain)
        return adapter.compute_weights(x, sample_domain=domain)[: len(xs)]

    return {
        'KMM': {
            'tljax': lambda: instance.kmm(xs, xt, width),
            'skada': lambda: skada_weights(KMMReweightAdapter(gamma=gamma)),
            'ADAPT': lambda: KMM(
                gamma=gamma, verbose=0, random_state=0, max_size=len(xs)
            ).fit_weights(xs, xt),
        },
        'KLIEP': {
            'tljax': lambda: instance.kliep(xs, xt),
            'skada': lambda: skada_weights(KLIEPReweightAdapter(gamma=gammas, random_state=0)),
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
    """Returns {method: {library: call without arguments that returns (zs, zt)}}.

    Args:
        xs: inputs of the source, (ns, d).
        ys: classes of the source, (ns,).
        xt: inputs of the target, (nt, d).
    """
    return {
        'subspace alignment': {
            'tljax': lambda: mapping.subspace_alignment(xs, xt, dim=30),
            'skada': lambda: _map(
                SubspaceAlignmentAdapter(n_components=30, random_state=0), xs, ys, xt
            ),
        },
        'CORAL': {
            'tljax': lambda: mapping.coral(xs, xt),
            'skada': lambda: _map(CORALAdapter(), xs, ys, xt),
        },
        'TCA': {
            'tljax': lambda: mapping.tca(xs, xt, dim=30),
            'skada': lambda: _map(_tca(), _unit_rows(xs), ys, _unit_rows(xt)),
        },
    }


def _tca():
    return TransferComponentAnalysisAdapter(kernel='linear', n_components=30, mu=1.0)


def _unit_rows(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def _stack(xs, xt):
    """Returns the rows of both domains, and the number of each row's domain as skada has them."""
    return np.concatenate([xs, xt]), np.repeat([1, -2], [len(xs), len(xt)])


def _map(adapter, xs, ys, xt):
    """Returns both domains mapped by an adapter of skada; `ys` may be None."""
    x, domain = _stack(xs, xt)
    y = None if ys is None else np.concatenate([ys, np.full(len(xt), -1)])
    z = adapter.fit_transform(x, y, sample_domain=domain)
    z = z[0] if isinstance(z, tuple) else z
    return z[: len(xs)], z[len(xs) :]
