"""What the comparison of data makers is about: one whitening, one set of sources, no JAX."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from ligo_cpc_snn.conditioning.whitening import WhiteningFilter, response
from ligo_cpc_snn.strain.curves import Asd

LONG_SECONDS = 64.0
AFTER_SECONDS = 1.0  # of a signal's crop, from the merger
STRETCH_SECONDS = 512.0  # of noise that is made in one piece, as training does


class Candidate(NamedTuple):
    """One way to do a task: `run` makes `items` of the things that the task counts."""

    program: str
    how: str
    items: int
    run: Callable[[], Any]


@dataclass(frozen=True)
class DataSetting:
    """The same for every program.

    Args:
        detectors: names.
        curves: of the noise, per detector.
        filters: whitening, per detector.
        sample_rate_hz: in Hz.
        window_seconds: of signals and noise windows.
        duration_seconds: of the waveform before it is cropped.
        reference_hz, lowest_hz: of the waveform, in Hz.
        gps: of the geocentre's merger, in s.
        sources: parameters, first axis n: masses in solar masses, angles in rad, distances
            in Mpc; with `optimal_snr` per detector.
    """

    detectors: tuple[str, ...]
    curves: tuple[Asd, ...]
    filters: tuple[WhiteningFilter, ...]
    sample_rate_hz: int
    window_seconds: float
    duration_seconds: float
    reference_hz: float
    lowest_hz: float
    gps: float
    sources: Mapping[str, Float[np.ndarray, "n ..."]]

    @property
    def window(self) -> int:
        """Samples of a window."""
        return round(self.window_seconds * self.sample_rate_hz)

    @property
    def crop(self) -> tuple[int, int]:
        """Samples kept of a signal before its merger and from it on."""
        after = round(AFTER_SECONDS * self.sample_rate_hz)
        return self.window - after, after

    @property
    def frequencies(self) -> Float[np.ndarray, "frequency"]:
        """Frequencies of the waveform's transform, in Hz."""
        samples = round(self.duration_seconds * self.sample_rate_hz)
        return np.fft.rfftfreq(samples, 1 / self.sample_rate_hz)

    def responses(self) -> Float[np.ndarray, "detector frequency"]:
        """Return what each filter multiplies a transform of a signal with, in 1/strain."""
        return np.stack([response(whitening, self.frequencies) for whitening in self.filters])

    def with_sources(self, sources: Mapping[str, Float[np.ndarray, "n ..."]]) -> "DataSetting":
        """Return the same setting for other sources."""
        return replace(self, sources=sources)

    def strain(self, seconds: float) -> Float[np.ndarray, "detector time"]:
        """Return white numbers of the size of strain: whitening takes as long as on real ones."""
        shape = len(self.detectors), round(seconds * self.sample_rate_hz)
        return 1e-21 * np.random.default_rng(0).standard_normal(shape)


def why_absent(*modules: str) -> str | None:
    """Return why a peer cannot be measured, or None where it can."""
    for name in modules:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            return f"{error.name} is not installed: pip install 'ligo-cpc-snn[bench]'"
        except (ImportError, OSError, AttributeError) as error:  # as of a library's new release
            return f"{name} cannot be imported: {error}"
    return None
