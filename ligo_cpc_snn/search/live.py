"""The detector over strain that is still being recorded.

Latency: a frame's value waits for half of the whitening filter of strain after it, for the rest
of a chunk of `CHUNK_SECONDS`, and for the computer. With a filter of 2 s that is 1.1 s of strain
and some hundredths of a second to compute; with one of 4 s, 2.1 s. Strain that comes in files
comes a file at a time, so the last second of a file (half the filter) is told with the next.
Only the first PSD after a gap waits longer: for 8 s of strain (or two Welch segments).
"""

from functools import partial

import jax
import numpy as np
from jaxtyping import Float, Float32

from ligo_cpc_snn.search.live_resampling import LiveResampling
from ligo_cpc_snn.search.live_whitening import LiveWhitening
from ligo_cpc_snn.search.side_by_side import advance_one, initial_state, warm_up_frames
from ligo_cpc_snn.search.stream import Statistic
from ligo_cpc_snn.search.trained import TrainedDetector
from ligo_cpc_snn.search.whitened import check_detectors, filter_half
from ligo_cpc_snn.strain.coincidence import Coincident

CHUNK_SECONDS = 0.125  # of strain per call of the network
GAP_SAMPLES = 0.1  # of the strain fed: times of files are rounded


class LiveSearch:
    """Fed raw strain of all detectors as it arrives, tells the statistic of new frames.

    A gap in GPS time resets the network, the whitening and the PSD. The network is compiled
    here, so that the first strain does not wait for it.

    Args:
        psd_seconds: of past strain that the PSD is measured on, s; renewed every 16 s.
    """

    def __init__(self, detector: TrainedDetector, psd_seconds: float) -> None:
        self.detector, self.psd_seconds = detector, psd_seconds
        frames = max(1, round(CHUNK_SECONDS / detector.frame_seconds))
        self._chunk = frames * detector.frame_samples
        self._params = jax.device_put(detector.params)
        self._silence = initial_state(detector)
        shape = (len(detector.detectors), self._chunk)
        silent = np.zeros(shape, np.float32)
        run = jax.jit(partial(advance_one, detector, False))
        self._run = run.lower(self._params, silent, self._silence).compile()
        self._gps_end: float | None = None
        self._begin(0.0)

    def feed(self, strain: Coincident) -> Statistic:
        """Return the statistic of the frames that this strain completes, after the warm-up.

        Args:
            strain: of the same time in each detector, following the strain before or later.

        Raises:
            ValueError: a detector is missing, the detectors' times differ, or the strain begins
                before the end of what was fed; strain is not finite or constant.
        """
        self._check(strain)
        first = strain[self.detector.detectors[0]]
        if self._gps_end is None or self._gap(first.gps_start, first.sample_rate_hz):
            self._begin(first.gps_start)
        self._gps_end = first.gps_end
        pairs = zip(self._resampling, self.detector.detectors, strict=True)
        rows = [resampling.feed(strain[name]).strain for resampling, name in pairs]
        return self._advance(self._whitening.feed(np.stack(rows)))

    def reset(self) -> None:
        """Forget all strain: what is fed next begins a stretch. The compiled network stays."""
        self._gps_end = None
        self._begin(0.0)

    def _begin(self, gps_start: float) -> None:
        detector = self.detector
        rate, highest = detector.sample_rate_hz, detector.band_hz[1]
        self._resampling = [LiveResampling(rate, highest) for _ in detector.detectors]
        self._whitening = LiveWhitening(detector, self.psd_seconds)
        self._state = self._silence
        self._waiting = np.zeros((len(detector.detectors), 0), np.float32)
        self._whitened_start = gps_start + filter_half(detector) / rate
        self._frames = 0  # told so far, of this stretch

    def _advance(self, whitened: Float32[np.ndarray, "detector time"]) -> Statistic:
        waiting = np.concatenate([self._waiting, whitened], axis=1)
        values = [np.zeros(0, np.float32)]
        while waiting.shape[1] >= self._chunk:
            chunk, waiting = waiting[:, : self._chunk], waiting[:, self._chunk :]
            logits, _, self._state = self._run(self._params, chunk, self._state)
            values.append(np.asarray(logits))
        self._waiting = waiting.copy()
        return self._statistic(np.concatenate(values))

    def _statistic(self, value: Float[np.ndarray, "frame"]) -> Statistic:
        number = self._frames + np.arange(value.size)
        self._frames += value.size
        late = number >= warm_up_frames(self.detector)
        gps = self._whitened_start + self.detector.frame_seconds * (1 + number)
        return Statistic(gps[late], value[late])

    def _gap(self, gps_start: float, sample_rate_hz: int) -> bool:
        assert self._gps_end is not None
        missing = (gps_start - self._gps_end) * sample_rate_hz
        if missing < -GAP_SAMPLES:
            raise ValueError(
                f"strain at GPS {gps_start:.6f} follows strain that ended at "
                f"{self._gps_end:.6f}: expected strain in the order of time, each time once"
            )
        return missing > GAP_SAMPLES

    def _check(self, strain: Coincident) -> None:
        check_detectors(strain, self.detector)
        parts = [strain[name] for name in self.detector.detectors]
        same = {(p.sample_rate_hz, p.strain.size) for p in parts}
        apart = max(p.gps_start for p in parts) - min(p.gps_start for p in parts)
        if len(same) > 1 or apart * parts[0].sample_rate_hz > 1:
            told = "; ".join(
                f"{p.detector} {p.strain.size} samples at {p.sample_rate_hz} Hz from "
                f"{p.gps_start:.6f}"
                for p in parts
            )
            raise ValueError(f"{told}: expected the same time of each detector, cut them to it")
