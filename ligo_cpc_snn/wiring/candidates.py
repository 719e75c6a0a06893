"""What is shown of the loudest triggers: `candidates.npz`."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from ligo_cpc_snn.search.outputs import TriggerTable
from ligo_cpc_snn.search.stream import Statistic
from ligo_cpc_snn.stages import stage
from ligo_cpc_snn.strain.coincidence import Coincident
from ligo_cpc_snn.strain.replacing import write_whole
from ligo_cpc_snn.strain.segments import between
from ligo_cpc_snn.wiring.qtransform import LEAST_SECONDS, q_energy, q_frequencies

STATISTIC_SECONDS = 2.0  # shown each side of a candidate
WHITENED_SECONDS = 0.5
Q_BEFORE_SECONDS, Q_AFTER_SECONDS, Q_TIMES = 0.5, 0.2, 350


class Around(NamedTuple):
    """A search's numbers around a time: what there is of 4.5 s each side, and no gap in it.

    `statistic` is of one stream, at the GPS times of its frames' ends; `whitened` is the strain
    that it was made of, by detector.
    """

    statistic: Statistic
    whitened: Coincident


def loudest(table: TriggerTable, limit: int) -> list[int]:
    """Return the rows of the loudest triggers, the loudest first."""
    order = np.argsort(-table.statistic, kind="stable")[:limit]
    return [int(row) for row in order]


@stage("candidates")
def write_candidates(
    path: str | Path,
    table: TriggerTable,
    around: Callable[[float], Around | None],
    *,
    time_offset_seconds: float,
    band_hz: tuple[float, float],
    limit: int = 10,
) -> int:
    """Write statistic, whitened strain and Q-transforms around the loudest triggers.

    Arrays of candidate i begin with `<i>_`; times are in s from the trigger's. One of which
    nothing is at hand has none; strain ends at a gap, and near one there is no Q-transform.

    Args:
        path: of the file.
        table: all triggers.
        around: returns what is known around a GPS time, or None. It is called for the loudest
            only, in the order of time: who keeps the last segment reads each once.
        time_offset_seconds: of the detector; its statistic is shown that much earlier, so that
            the peak lies at the trigger's time.
        band_hz: pass band (low, high) of the whitened strain, Hz.
        limit: most candidates.

    Returns:
        How many candidates were written.
    """
    chosen = loudest(table, limit)
    arrays: dict[str, Any] = {
        "time": table.time[chosen],
        "detectors": np.array(table.detectors),
        "q_times": np.linspace(-Q_BEFORE_SECONDS, Q_AFTER_SECONDS, Q_TIMES),
    }
    for row in sorted(chosen, key=lambda row: table.time[row]):
        found, gps = around(float(table.time[row])), float(table.time[row])
        if found is not None:
            parts = _statistic(found.statistic, gps + time_offset_seconds)
            parts |= _strain(found.whitened, table.detectors, gps)
            parts |= _q_transform(found.whitened, table.detectors, gps, arrays["q_times"], band_hz)
            arrays |= {f"{chosen.index(row)}_{name}": values for name, values in parts.items()}
    body = io.BytesIO()
    np.savez_compressed(body, **arrays)
    write_whole(Path(path), body.getvalue())
    return len(chosen)


def _statistic(statistic: Statistic, gps: float) -> dict[str, np.ndarray]:
    offset = statistic.gps - gps
    near = np.abs(offset) <= STATISTIC_SECONDS
    return {"statistic_time": offset[near], "statistic": np.ravel(statistic.value)[near]}


def _strain(
    whitened: Coincident, detectors: tuple[str, ...], gps: float
) -> dict[str, Float[np.ndarray, "..."]]:
    """Return what there is of the whitened strain; the same samples of every detector."""
    start, end = gps - WHITENED_SECONDS, gps + WHITENED_SECONDS
    parts = [between(whitened[name], start, end) for name in detectors]
    size = min(part.strain.size for part in parts)
    time = parts[0].gps_start - gps + np.arange(size) / parts[0].sample_rate_hz
    strain = np.stack([part.strain[:size] for part in parts]).astype(np.float32)
    return {"whitened_time": time, "whitened": strain}


def _q_transform(
    whitened: Coincident,
    detectors: tuple[str, ...],
    gps: float,
    times: Float[np.ndarray, "time"],
    band_hz: tuple[float, float],
) -> dict[str, np.ndarray]:
    segments = [whitened[name] for name in detectors]
    if min(min(gps - s.gps_start, s.gps_end - gps) for s in segments) < LEAST_SECONDS:
        return {}
    frequencies = q_frequencies(segments[0].sample_rate_hz, band_hz)
    energy = np.stack([q_energy(segment, gps, times, frequencies) for segment in segments])
    return {"q_energy": energy, "q_frequencies": frequencies}
