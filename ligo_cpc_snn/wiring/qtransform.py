"""The Q-transform of an event before and after whitening, for the report: `qtransform.npz`."""

import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from ligo_cpc_snn.config.schema import Config
from ligo_cpc_snn.strain.coincidence import Coincident
from ligo_cpc_snn.strain.segments import StrainSegment

log = logging.getLogger(__name__)

BEFORE_SECONDS, AFTER_SECONDS = 0.4, 0.15
AROUND_SECONDS = 4.0  # transformed, so that the picture is far from the ends
LEAST_SECONDS = 1.0  # of them on each side
Q_RANGE = (6.0, 16.0)
LOWEST_HZ, HIGHEST_HZ = 20.0, 500.0
TIMES, FREQUENCIES = 400, 120


def write_qtransform(
    run_dir: Path, cfg: Config, before: Coincident, after: Coincident, gps: float
) -> None:
    """Write qtransform.npz: an event in strain as recorded, and in whitened strain.

    Args:
        run_dir: of the run.
        cfg: for the event's name and the detectors.
        before, after: coincident strain that holds the event.
        gps: of the event.
    """
    names = cfg.data.detectors
    ends = [t for s in (*before.values(), *after.values()) for t in (s.gps_start, s.gps_end)]
    if min(abs(gps - t) for t in ends) < LEAST_SECONDS:
        log.warning("no Q-transform: the event is within %g s of a gap", LEAST_SECONDS)
        return
    frequencies = q_frequencies(cfg.data.sample_rate_hz, cfg.data.band_hz)
    times = np.linspace(-BEFORE_SECONDS, AFTER_SECONDS, TIMES)
    energies: dict[str, Any] = {
        key: np.stack([q_energy(strain[name], gps, times, frequencies) for name in names])
        for key, strain in (("before", before), ("after", after))
    }
    np.savez(
        run_dir / "qtransform.npz",
        times=times,
        frequencies=frequencies,
        detectors=np.array(names),
        event_name=np.str_(cfg.event.name),
        **energies,
    )


def q_frequencies(
    sample_rate_hz: int, band_hz: tuple[float, float]
) -> Float[np.ndarray, "frequency"]:
    """Return frequencies in Hz, in geometric progression, at which strain has a Q-transform."""
    # The widest of its windows must end below half of the sample rate.
    widest = sample_rate_hz / 2 / (1 + 11**0.5 / Q_RANGE[0])
    highest = min(HIGHEST_HZ, band_hz[1], widest)
    return np.geomspace(max(LOWEST_HZ, band_hz[0]), highest, FREQUENCIES)


def q_energy(
    segment: StrainSegment,
    gps: float,
    times: Float[np.ndarray, "time"],
    frequencies: Float[np.ndarray, "frequency"],
) -> Float[np.ndarray, "time frequency"]:
    """Return the energy of the Q-transform over its median, float32.

    Args:
        segment: Strain of a detector, whitened or not; it is not whitened here.
        gps: Of the event.
        times: From the event, evenly spaced, in s.
        frequencies: In Hz, in geometric progression.

    Reference: Chatterji et al. 2004, CQG 21, S1809, through gwpy.
    """
    with warnings.catch_warnings():
        # At its import gwpy asks astropy for what astropy will drop.
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        from gwpy.timeseries import TimeSeries
    strain = TimeSeries(
        segment.strain.astype(np.float64), t0=segment.gps_start, sample_rate=segment.sample_rate_hz
    )
    start = max(gps - AROUND_SECONDS, segment.gps_start)
    near = strain.crop(start, min(gps + AROUND_SECONDS, segment.gps_end))
    q = (near - near.mean()).q_transform(
        qrange=Q_RANGE,
        frange=(frequencies[0], frequencies[-1]),
        outseg=(gps + times[0], gps + times[-1]),
        tres=(times[-1] - times[0]) / times.size,
        fres=frequencies.size,
        logf=True,
        norm=False,
        whiten=False,
    )
    energy = np.asarray(q.value)[: times.size]
    return (energy / np.median(energy)).astype(np.float32)
