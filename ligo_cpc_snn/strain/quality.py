"""What GWOSC's data-quality and injection bits say about strain."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Shaped

# A sample counts only where all of these bits are set (gwosc.org: data quality of CBC searches).
NEEDED_QUALITY = ("DATA", "CBC_CAT1", "CBC_CAT2", "CBC_CAT3")
# Transient injections would be signals, stochastic ones correlate the detectors' noise. Not
# NO_CW_HW_INJ: simulated pulsars, weak lines, were injected nearly always, and asking for it
# would leave next to nothing.
NEEDED_INJECTION = ("NO_CBC_HW_INJ", "NO_BURST_HW_INJ", "NO_DETCHAR_HW_INJ", "NO_STOCH_HW_INJ")
# Places of the bits in frame files, which do not carry the names: O1 and later.
BITS = {
    "DATA": 0,
    "CBC_CAT1": 1,
    "CBC_CAT2": 2,
    "CBC_CAT3": 3,
    "NO_CBC_HW_INJ": 0,
    "NO_BURST_HW_INJ": 1,
    "NO_DETCHAR_HW_INJ": 2,
    "NO_STOCH_HW_INJ": 4,
}


def bits_set(
    mask: Shaped[np.ndarray, "second"], needed: Sequence[str], places: Mapping[str, int] = BITS
) -> Bool[np.ndarray, "second"]:
    """Return where all of the bits called `needed` are set.

    Args:
        mask: Integers of bits.
        needed: Names of bits; those without a place are not asked for.
        places: Number of the bit of each name.
    """
    wanted = sum(1 << places[name] for name in needed if name in places)
    return (mask.astype(np.int64) & wanted) == wanted


def per_sample(good: Bool[np.ndarray, "interval"], samples: int) -> Bool[np.ndarray, "time"]:
    """Repeat evenly spaced flags to one per sample of strain."""
    interval = np.arange(samples) * good.size // max(samples, 1)
    return good[interval]
