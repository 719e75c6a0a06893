"""Recolouring: recorded strain brought to another spectral density, with all its faults.

Glitches and slow changes of the noise stay what they are relative to the density, so that
recoloured strain is as unruly as recorded strain and has the curve one asks for.
"""

import numpy as np
from jaxtyping import Float

from ligo_cpc_snn.conditioning.whitening import (
    HIGH_EDGE,
    CentredFilter,
    band_pass,
    density_at,
    filter_grid,
    truncated_taps,
)

BELOW = 0.8  # of the band's lower end: what is recoloured reaches beyond what is used

# Frequencies in Hz and amplitude density; two curves need not have the same frequencies.
Curve = tuple[Float[np.ndarray, "_"], Float[np.ndarray, "_"]]


def design_recolouring(
    own: Curve,
    target: Curve,
    sample_rate_hz: int,
    filter_seconds: float,
    band_hz: tuple[float, float],
) -> CentredFilter:
    """Design the filter that turns strain of the density `own` into such of `target`.

    It whitens by the one and colours by the other in one go. Outside the band nothing
    passes; its edges lie outside `band_hz`, which whitening then cuts.

    Args:
        own: Frequencies in Hz and amplitude density in strain/sqrt(Hz) of the strain.
        target: The same of what is wanted.
        sample_rate_hz: Sample rate in Hz.
        filter_seconds: Length of the filter in s; half of it is lost at each end.
        band_hz: Band (low, high) in Hz in which the strain will be used.

    Raises:
        ValueError: A density is not positive in the band.
    """
    half = round(filter_seconds * sample_rate_hz / 2)
    grid = filter_grid(half, sample_rate_hz)
    wider = BELOW * band_hz[0], min(band_hz[1] / (1 - HIGH_EDGE), sample_rate_hz / 2)
    gain = band_pass(grid, wider)
    inside = gain > 0
    ours, theirs = (density_at(grid[inside], *curve) for curve in (own, target))
    if not (np.all(ours > 0) and np.all(theirs > 0)):
        raise ValueError(
            f"spectral density is not positive everywhere in {wider[0]:g} to {wider[1]:g} Hz: "
            "the strain was filtered there, narrow data.highpass_hz and lowpass_hz"
        )
    gain[inside] *= theirs / ours
    return CentredFilter(truncated_taps(gain, half), sample_rate_hz)
