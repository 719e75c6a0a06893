"""Bad stretches of recorded noise: judged in every set, cut from the training noise only.

Thresholds are learned from the training noise, for each detector on its own, and everything
is judged by them. What is unusable (not finite, dropouts) was cut from every set before.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from ligo_cpc_snn.conditioning.rejection import (
    FEWEST_PER_FOLD,
    KEPT,
    Stretches,
    Thresholds,
    band_edges,
    judge,
    learn_thresholds,
    measure,
    median_bias,
)
from ligo_cpc_snn.config.data_schema import DataConfig
from ligo_cpc_snn.dataset.noise import NoiseBlock
from ligo_cpc_snn.dataset.splits import Set
from ligo_cpc_snn.strain.coincidence import Coincident, common_time
from ligo_cpc_snn.strain.segments import Span, cut_spans, drop_short

log = logging.getLogger(__name__)


class Table(NamedTuple):
    """Stretches of all sets and detectors, one a row; `detector` and `kind` are numbers."""

    gps: Float[np.ndarray, "stretch"]
    detector: Int[np.ndarray, "stretch"]
    kind: Int[np.ndarray, "stretch"]
    peak_to_peak: Float[np.ndarray, "stretch"]
    band_power: Float[np.ndarray, "stretch band"]
    reason: Int[np.ndarray, "stretch"]

    @property
    def kept(self) -> Bool[np.ndarray, "stretch"]:
        """Whether a stretch is good."""
        return self.reason == KEPT


class Quality(NamedTuple):
    """What each stretch of noise was judged by, and how the thresholds were learned."""

    table: Table
    thresholds: list[Thresholds]  # of each detector
    detectors: tuple[str, ...]
    seconds: float  # of a stretch
    edges_hz: Float[np.ndarray, "band_edge"]

    @property
    def reasons(self) -> tuple[str, ...]:
        """Names of the numbers in `table.reason`."""
        bands = [f"power {a:.0f}-{b:.0f} Hz" for a, b in self._bands()]
        return ("kept", "peak to peak", *bands)

    def rejected(self, kind: Set) -> list[Span]:
        """Return the spans of GPS time in which a detector's noise of a set is bad."""
        bad = self.table.gps[~self.table.kept & (self.table.kind == list(Set).index(kind))]
        return [(gps, gps + self.seconds) for gps in np.unique(bad).tolist()]

    def lines(self) -> list[str]:
        """Return, for each set and detector, what share is bad and why."""
        lines = []
        for k, kind in enumerate(Set):
            for d, detector in enumerate(self.detectors):
                reason = self.table.reason[(self.table.kind == k) & (self.table.detector == d)]
                if reason.size:
                    bad = np.bincount(reason[reason != KEPT], minlength=1)
                    why = [f"{self.reasons[i]}: {n}" for i, n in enumerate(bad) if n]
                    share = 100 * np.mean(reason != KEPT)
                    text = f" ({', '.join(why)})" if why else ""
                    lines.append(
                        f"{kind.value} {detector}: {share:.2g} % of {reason.size} stretches "
                        f"of {self.seconds:g} s are bad{text}"
                    )
        return lines

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the record as arrays to be saved; names in `quality_reasons` and so on."""
        t, values = self.table, np.stack([t.values for t in self.thresholds])
        return {
            "quality_gps": t.gps,
            "quality_seconds": np.array(self.seconds),
            "quality_detector": t.detector,
            "quality_detectors": np.array(self.detectors),
            "quality_set": t.kind,
            "quality_sets": np.array([kind.value for kind in Set]),
            "quality_peak_to_peak": t.peak_to_peak,
            "quality_band_power": t.band_power,
            "quality_band_edges_hz": self.edges_hz,
            "quality_kept": t.kept,
            "quality_reason": t.reason,
            "quality_reasons": np.array(self.reasons),
            "quality_threshold_peak_to_peak": values[:, 0],
            "quality_threshold_band_power": values[:, 1:],
            "quality_candidates": np.stack([t.candidates for t in self.thresholds]),
            "quality_errors": np.stack([t.errors for t in self.thresholds]),
        }

    def _bands(self) -> list[tuple[float, float]]:
        return list(zip(self.edges_hz[:-1].tolist(), self.edges_hz[1:].tolist(), strict=True))


def judge_noise(noise: Mapping[Set, Sequence[Coincident]], data: DataConfig) -> Quality:
    """Learn thresholds from training noise and judge the noise of all sets by them.

    Args:
        noise: Whitened noise of each set.
        data: Detectors, band and `data.quality`. A detector with too little training noise
            to learn from keeps everything, with a warning.
    """
    edges = band_edges(data.band_hz)
    thresholds, rows = [], []
    for d, detector in enumerate(data.detectors):
        measured = {kind: _measured(noise[kind], detector, data, edges) for kind in Set}
        learned = _learned(measured[Set.training][1], detector, data, edges)
        thresholds.append(learned)
        for k, kind in enumerate(Set):
            gps, stretches = measured[kind]
            number = np.full(gps.size, d), np.full(gps.size, k)
            reason = judge(stretches, learned.values)
            rows.append(Table(gps, *number, *stretches[1:], reason))
    table = Table(*(np.concatenate(column) for column in zip(*rows, strict=True)))
    seconds = data.quality.stretch_seconds
    quality = Quality(table, thresholds, tuple(data.detectors), seconds, edges)
    for line in quality.lines():
        log.info("%s", line)
    return quality


def without_rejected(
    blocks: Sequence[NoiseBlock], quality: Quality, data: DataConfig
) -> list[NoiseBlock]:
    """Cut what is bad in one detector out of all detectors' training noise."""
    spans = quality.rejected(Set.training)
    kept: list[NoiseBlock] = []
    for block in blocks:
        stretches: list[Coincident] = []
        for stretch in block.stretches:
            first = next(iter(stretch.values()))
            near = [s for s in spans if s[1] > first.gps_start and s[0] < first.gps_end]
            cut = drop_short(cut_spans(stretch.values(), near), data.window_seconds)
            stretches += common_time(cut, data.detectors)
        if stretches:
            kept.append(block._replace(stretches=stretches))
    before, after = (sum(b.seconds for b in group) for group in (blocks, kept))
    log.info("training noise without bad stretches: %.0f of %.0f s", after, before)
    return kept


def _measured(
    noise: Sequence[Coincident],
    detector: str,
    data: DataConfig,
    edges: Float[np.ndarray, "band_edge"],
) -> tuple[Float[np.ndarray, "stretch"], Stretches]:
    """Return the GPS times and measures of all stretches of one detector."""
    rate, seconds = data.sample_rate_hz, data.quality.stretch_seconds
    nothing = measure(np.zeros(0, np.float32), rate, seconds, edges)
    parts, gps = [nothing], [np.zeros(0)]
    for segment in (part[detector] for part in noise):
        parts.append(measure(segment.strain, rate, seconds, edges))
        gps.append(segment.gps_start + parts[-1].starts / rate)
    joined = Stretches(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    return np.concatenate(gps), joined


def _learned(
    training: Stretches,
    detector: str,
    data: DataConfig,
    edges: Float[np.ndarray, "band_edge"],
) -> Thresholds:
    quality = data.quality
    needed = FEWEST_PER_FOLD * quality.folds
    if training.starts.size < needed:
        log.warning(
            "%d stretches of %s's training noise are too few to learn what is bad (expected %d): "
            "all is kept; give longer strain or lower data.quality.stretch_seconds",
            training.starts.size, detector, needed,
        )  # fmt: skip
        scores = edges.size  # peak-to-peak, and one for each band
        unknown = np.full((scores, quality.candidates), np.nan)
        return Thresholds(np.full(scores, np.inf), unknown, unknown)
    bias = median_bias(data.sample_rate_hz, quality.stretch_seconds, edges)
    return learn_thresholds(training, bias, folds=quality.folds, candidates=quality.candidates)
