"""How much of the signals' SNR is within what the bank keeps of them.

A bank's signals have SNR 1 before they are cropped, and whitened noise has unit density: the
norm of what is kept is the share of the SNR in it.
"""

import logging

import jax
import numpy as np
from jaxtyping import Float

from ligo_cpc_snn.dataset.banks import HostOrDevice

log = logging.getLogger(__name__)

ENOUGH = 0.9  # of the SNR
LOOKED_AT = 512  # signals; a bank's order is random


def snr_fractions(
    strain: Float[HostOrDevice, "signal detector time"],
) -> Float[np.ndarray, "signal"]:
    """Return the share of each signal's network SNR that is in its banked crop, float32.

    A window holds at most as much: the crop is what windows of all places need together.
    """
    kept = np.asarray(jax.device_get(strain)).astype(np.float32)
    return np.sqrt(np.sum(kept**2, axis=(1, 2)))


def warn_of_short_windows(strain: Float[HostOrDevice, "signal detector time"]) -> None:
    """Log a warning if half of the signals have a tenth of their SNR outside of any window."""
    median = float(np.median(snr_fractions(strain[:LOOKED_AT])))
    if median < ENOUGH:
        log.warning(
            "half of the signals have less than %.2f of their SNR in a window, the SNRs of "
            "training and evaluation are those of whole signals: raise data.window_seconds or "
            "data.highpass_hz",
            median,
        )
