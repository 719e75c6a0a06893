"""A search's numbers around a trigger: its statistic, and the strain read and whitened again."""

from collections.abc import Sequence

import numpy as np

from ligo_cpc_snn.search.engine import Searched
from ligo_cpc_snn.search.inputs import Plan
from ligo_cpc_snn.search.stream import Statistic
from ligo_cpc_snn.search.trained import TrainedDetector
from ligo_cpc_snn.search.whitened import whiten_coincident
from ligo_cpc_snn.strain.coincidence import Coincident
from ligo_cpc_snn.strain.segments import StrainSegment
from ligo_cpc_snn.wiring.candidates import Around


class Surroundings:
    """Answers for one time after another; the last part that was whitened is kept.

    Args:
        plan: open, of the search.
        psd_seconds: of the search, so that strain is whitened as it was.
        parts: what was found.
    """

    def __init__(
        self,
        plan: Plan,
        detector: TrainedDetector,
        psd_seconds: float,
        parts: Sequence[Searched],
    ) -> None:
        self.plan, self.detector, self.psd_seconds, self.parts = plan, detector, psd_seconds, parts
        self._kept: tuple[float, Coincident] | None = None

    def around(self, gps: float) -> Around | None:
        """Return statistic and whitened strain of the part that a trigger's time is in."""
        peak = gps + self.detector.time_offset_seconds
        for part in self.parts:
            frame = self.detector.frame_seconds
            if part.gps.size and part.gps[0] - frame <= peak <= part.gps[-1] + frame:
                return Around(Statistic(part.gps, part.value), self._whitened(part))
        return None

    def _whitened(self, part: Searched) -> Coincident:
        if self._kept is None or self._kept[0] != part.gps_start:
            whole = (part.gps_start, part.gps_start + part.seconds)
            (strain, *_), _ = self.plan.coincident(whole)
            self._kept = part.gps_start, self._whiten(strain)
        return self._kept[1]

    def _whiten(self, strain: Coincident) -> Coincident:
        whitened = whiten_coincident(strain, self.detector, self.psd_seconds)
        rate = self.detector.sample_rate_hz
        return {
            name: StrainSegment(
                name, whitened.gps_start, rate, np.asarray(row, np.float64), strain[name].source
            )
            for name, row in zip(self.detector.detectors, whitened.strain, strict=True)
        }
