"""Time slides of whitened strain."""

import numpy as np
from jaxtyping import Float


def slide(
    strain: Float[np.ndarray, "detector time"], shift_samples: int
) -> Float[np.ndarray, "detector time"]:
    """Shift each detector against the first by a multiple of `shift_samples`, in a circle."""
    return np.stack([np.roll(row, i * shift_samples) for i, row in enumerate(strain)])


def slide_shifts(
    shape: tuple[int, ...], sample_rate_hz: int, slides: int, minimum_seconds: float
) -> list[int]:
    """Return the shifts of up to `slides` time slides of a stretch, none near zero lag.

    Args:
        shape: detectors and samples of the stretch.
        minimum_seconds: least shift between any two detectors, longer than light travel and
            the network's memory.
    """
    detectors, samples = shape
    least = round(minimum_seconds * sample_rate_hz)
    possible = min(slides, max(samples // least - 1, 0))
    shifts = [round((i + 1) * samples / (possible + 1)) for i in range(possible)]
    # Two detectors k apart in the list are shifted by k shifts, on a circle.
    return [
        shift
        for shift in shifts
        if all(least <= k * shift % samples <= samples - least for k in range(1, max(detectors, 2)))
    ]
