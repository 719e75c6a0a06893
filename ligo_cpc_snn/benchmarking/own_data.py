"""Our makers of data, for the comparison with others."""

from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import Any

import jax
import numpy as np

from ligo_cpc_snn.benchmarking.data_setting import (
    LONG_SECONDS,
    STRETCH_SECONDS,
    Candidate,
    DataSetting,
)
from ligo_cpc_snn.conditioning.whitening import WhiteningFilter, design_filter, whiten
from ligo_cpc_snn.config.data_schema import DataConfig
from ligo_cpc_snn.signals.whitened import GPS, whitened_signals
from ligo_cpc_snn.strain.curves import Asd, aligo_curve
from ligo_cpc_snn.strain.noise import coloured_noise

SIGNALS, WINDOWS, LONG_STRETCHES = 256, 128, 4
SOURCES = 256  # different ones that the peers are given

OURS = "ligo_cpc_snn"


def make_setting(data: DataConfig, seed: int) -> tuple[DataSetting, np.ndarray]:
    """Return the setting of a config, and our whitened signals of unit network SNR of it.

    The signals have shape (SOURCES, detector, time), in the order of the setting's sources.
    """
    curve = aligo_curve(data.sample_rate_hz / 2)
    detectors, filters = tuple(data.detectors), make_filters(data)
    empty = DataSetting(
        detectors, tuple(curve for _ in detectors), filters, data.sample_rate_hz,
        data.window_seconds, data.signals.duration_seconds, data.signals.reference_hz,
        data.highpass_hz, GPS, {},
    )  # fmt: skip
    strain, sources = _signals(empty, data, seed, SOURCES)
    return empty.with_sources(sources), strain


def make_filters(data: DataConfig) -> tuple[WhiteningFilter, ...]:
    """Return a whitening filter for the design curve of Advanced LIGO, for each detector."""
    curve = aligo_curve(data.sample_rate_hz / 2)
    return tuple(_design(data, curve) for _ in data.detectors)


def _design(data: DataConfig, curve: Asd) -> WhiteningFilter:
    frequencies = np.linspace(0.0, data.sample_rate_hz / 2, 8 * data.sample_rate_hz + 1)
    asd = curve.at(frequencies)
    return design_filter(frequencies, asd, data.sample_rate_hz, data.filter_seconds, data.band_hz)


def _signals(
    setting: DataSetting, data: DataConfig, seed: int, count: int
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    before, after = setting.crop
    return whitened_signals(
        jax.random.key(seed), data.signals, count=count, detectors=setting.detectors,
        filters=setting.filters, sample_rate_hz=setting.sample_rate_hz, samples_before=before,
        samples_after=after,
    )  # fmt: skip


def signals(setting: DataSetting, data: DataConfig) -> list[Candidate]:
    """Return our way to make whitened signals: other sources in every call."""
    seeds = iter(range(1, 10**9))
    how = f"whitened_signals, {SIGNALS} at a time, sources drawn"
    return [Candidate(OURS, how, SIGNALS, lambda: _signals(setting, data, next(seeds), SIGNALS))]


def noise(setting: DataSetting, threads: Executor, cores: int) -> list[Candidate]:
    """Return our ways to make noise windows."""
    rate, curve, seeds = setting.sample_rate_hz, setting.curves[0], iter(range(10**9))
    long = round(STRETCH_SECONDS * rate)

    def make(samples: int, pieces: int, seed: int) -> list[np.ndarray]:
        rng = np.random.default_rng(seed)
        draw = partial(coloured_noise, rng, curve, samples=samples, sample_rate_hz=rate)
        return [draw() for _ in range(pieces)]

    def candidate(how: str, samples: int, pieces: int) -> Candidate:
        windows = pieces * cores * (samples // setting.window)
        one = partial(make, samples, pieces)
        run = partial(_in_threads, threads, one, lambda: [next(seeds) for _ in range(cores)])
        return Candidate(OURS, how, windows, run)

    return [
        candidate("coloured_noise, cropped from long stretches", long, 1),
        candidate("coloured_noise, each window on its own", setting.window, WINDOWS),
    ]


def whitening(
    setting: DataSetting, data: DataConfig, threads: Executor
) -> dict[float, list[Candidate]]:
    """Return our whitening by the seconds of strain that it is given."""
    seconds = {setting.window_seconds: WINDOWS // 2, LONG_SECONDS: LONG_STRETCHES}

    def with_design(strain: np.ndarray) -> np.ndarray:
        return whiten(strain, _design(data, setting.curves[0]))

    found = {}
    for length, count in seconds.items():
        stretches = list(setting.strain(length)) * count
        given = partial(_in_threads, threads, lambda s: whiten(s, setting.filters[0]), stretches)
        designed = partial(_in_threads, threads, with_design, stretches)
        found[length] = [
            Candidate(OURS, "whiten", len(stretches), given),
            Candidate(OURS, "design_filter and whiten", len(stretches), designed),
        ]
    return found


def _in_threads(
    threads: Executor, function: Callable[[Any], Any], items: Any | Callable[[], Any]
) -> list[Any]:
    return list(threads.map(function, items() if callable(items) else items))
