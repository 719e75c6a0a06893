"""Spike functions: a step forward, one of `spyx.axn`'s surrogate gradients backward."""

import spyx.axn
from spyx.axn import Activation

from ligo_cpc_snn.config.model_schema import Surrogate

_FACTORIES = {
    Surrogate.arctan: spyx.axn.arctan,
    Surrogate.superspike: spyx.axn.superspike,
    Surrogate.triangular: spyx.axn.triangular,
    Surrogate.tanh: spyx.axn.tanh,
}


def build_surrogate(kind: Surrogate, slope: float) -> Activation:
    """Return the spike function; `slope` is the surrogate's k (`boxcar`: 2 / width)."""
    if kind is Surrogate.boxcar:
        return spyx.axn.boxcar(width=2.0 / slope)
    return _FACTORIES[kind](slope)
