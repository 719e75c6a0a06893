"""One event: the statistic over its strain, against held-out noise and its time slides."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from ligo_cpc_snn.search.slides import slide, slide_shifts
from ligo_cpc_snn.search.stream import Statistic
from ligo_cpc_snn.units import YEAR_SECONDS

# (strain (batch, detector, time), GPS of the first sample) -> statistic
Run = Callable[[Float[np.ndarray, "batch detector time"], float], Statistic]

# Whitened strain of all detectors, each stretch of a length of its own, and its GPS start.
Stretch = tuple[Float[np.ndarray, "detector ..."], float]

WARM_UP_SECONDS = 1.0  # after a gap, while the network has seen less than a window
LEAST_SHIFT_SECONDS = 1.0  # of a time slide: a window


class Background(NamedTuple):
    """Loudest statistic of each second of held-out noise, and of its time slides."""

    zero_lag: Float[np.ndarray, "n"]
    slides: Float[np.ndarray, "m"]


class EventResult(NamedTuple):
    """What was found around an event."""

    statistic: Statistic
    peak_gps: float
    peak: float
    threshold: float  # the loudest statistic of held-out noise at zero lag
    crossings_zero_lag: int  # seconds of held-out noise at or above the event's peak
    slides_above: int  # seconds of slid noise at or above the event's peak
    background: Background

    def summary(self, event_gps: float, tolerance: float) -> dict[str, Any]:
        """Return the numbers for metrics.json; times in s."""
        offset = self.peak_gps - event_gps
        above = self.crossings_zero_lag + self.slides_above
        years = (self.background.zero_lag.size + self.background.slides.size) / YEAR_SECONDS
        return {
            "peak_gps": self.peak_gps,
            "offset_seconds": offset,
            "peak_statistic": self.peak,
            "threshold": self.threshold,
            "loudest_within_tolerance": bool(abs(offset) <= tolerance),
            "above_threshold": bool(self.peak > self.threshold),
            "held_out_seconds": int(self.background.zero_lag.size),
            "held_out_noise_crossings_at_peak": self.crossings_zero_lag,
            "slid_seconds": int(self.background.slides.size),
            "slid_seconds_above_peak": self.slides_above,
            "false_alarms_per_year_upper_limit_90": 2.303 / years
            if not self.slides_above
            else None,
            "false_alarms_per_year": above / years if above else None,
        }


def measure_background(
    run: Run,
    stretches: Sequence[Stretch],
    sample_rate_hz: int,
    slides: int,
) -> Background:
    """Run over held-out noise, as it was and with the detectors shifted against each other.

    Args:
        run: the detector over `slides + 1` streams side by side.
        stretches: whitened strain of all detectors and the GPS time it starts at.
        slides: time slides of each stretch, fewer where it is too short.
    """
    zero_lag, slid = [], []
    for strain, gps in stretches:
        shifts = slide_shifts(strain.shape, sample_rate_hz, slides, LEAST_SHIFT_SECONDS)
        # The same number of streams for every stretch: one program. Spare ones repeat zero lag.
        streams = [0, *shifts] + [0] * (slides - len(shifts))
        found = run(np.stack([slide(strain, shift) for shift in streams]), gps)
        loudest = _loudest_per_second(found)
        zero_lag.append(loudest[0])
        slid.append(loudest[1 : 1 + len(shifts)].ravel())
    return Background(_joined(zero_lag), _joined(slid))


def analyse_event(statistic: Statistic, background: Background, event_gps: float) -> EventResult:
    """Find the loudest frame around an event and set it against the background.

    Args:
        statistic: of one stream, around the event.
        background: of held-out noise.
        event_gps: only for the check that the strain holds it.

    Raises:
        ValueError: when the event is not in the analysed time, or nothing was held out.
    """
    late = after_warm_up(statistic)
    if not late.gps.size or not late.gps[0] <= event_gps <= late.gps[-1]:
        raise ValueError(
            f"GPS {event_gps} is not in the analysed strain, whose first "
            f"{WARM_UP_SECONDS} s are warm-up: give longer strain around the event"
        )
    if not background.zero_lag.size:
        raise ValueError("no held-out noise: raise data.real.validation_fraction")
    loudest = int(np.argmax(late.value))
    peak = float(late.value[loudest])
    return EventResult(
        statistic,
        float(late.gps[loudest]),
        peak,
        float(background.zero_lag.max()),
        int(np.count_nonzero(background.zero_lag >= peak)),
        int(np.count_nonzero(background.slides >= peak)),
        background,
    )


def after_warm_up(statistic: Statistic) -> Statistic:
    """Return the statistic without the first second after silence."""
    frame = _frame_seconds(statistic)
    kept = statistic.gps > statistic.gps[0] - frame + WARM_UP_SECONDS + frame / 2
    return Statistic(statistic.gps[kept], statistic.value[..., kept])


def _frame_seconds(statistic: Statistic) -> float:
    return float(np.median(np.diff(statistic.gps)))


def _loudest_per_second(statistic: Statistic) -> Float[np.ndarray, "batch second"]:
    late = after_warm_up(statistic)
    frames = round(1.0 / _frame_seconds(statistic))
    missing = -late.gps.size % frames  # what is left at the end counts as a second, too
    value = np.pad(late.value, ((0, 0), (0, missing)), constant_values=-np.inf)
    return value.reshape(value.shape[0], -1, frames).max(axis=-1)


def _joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)
