"""PyCBC, in as many processes as there are cores: its functions use one each."""

import multiprocessing
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from ligo_cpc_snn.benchmarking.agreement import agreement
from ligo_cpc_snn.benchmarking.data_setting import STRETCH_SECONDS, Candidate, DataSetting

SIGNALS_EACH, WINDOWS_EACH = 8, 32  # of a process and call: 0.1 s

Source = Mapping[str, float]


class _Worker(NamedTuple):
    setting: DataSetting
    responses: Float[np.ndarray, "detector frequency"]
    psds: list[Any]  # FrequencySeries of each detector, with the frequency step of a window
    detectors: list[Any]


_worker: _Worker | None = None


def prepare(setting: DataSetting) -> None:
    """Make what does not belong to a signal or window, once in each process."""
    global _worker
    from pycbc.detector import Detector
    from pycbc.types import FrequencySeries

    step = 1 / setting.window_seconds
    frequencies = np.arange(setting.window // 2 + 1) * step
    psds = [FrequencySeries(curve.at(frequencies) ** 2, delta_f=step) for curve in setting.curves]
    detectors = [Detector(name) for name in setting.detectors]
    _worker = _Worker(setting, setting.responses(), psds, detectors)


def signals_td(sources: Sequence[Source]) -> list[np.ndarray]:
    """Make whitened signals by `get_td_waveform` and `project_wave`, (detector, time) each."""
    return [_cropped(whitened(source, spectra_td)) for source in sources]


def signals_fd(sources: Sequence[Source]) -> list[np.ndarray]:
    """Make whitened signals by `get_fd_waveform`, (detector, time) each."""
    return [_cropped(whitened(source, spectra_fd)) for source in sources]


def noise_windows(seeds: Int[np.ndarray, "n"]) -> list[np.ndarray]:
    """Make independent windows of coloured noise."""
    from pycbc.noise import noise_from_psd

    setting, psd = _prepared().setting, _prepared().psds[0]
    step = 1 / setting.sample_rate_hz
    return [noise_from_psd(setting.window, step, psd, seed=int(seed)).numpy() for seed in seeds]


def noise_stretch(seed: int) -> np.ndarray:
    """Make one long stretch of coloured noise."""
    from pycbc.noise import noise_from_psd

    rate, psd = _prepared().setting.sample_rate_hz, _prepared().psds[0]
    return np.asarray(noise_from_psd(round(STRETCH_SECONDS * rate), 1 / rate, psd, seed=seed))


def whitened(source: Source, spectra: Callable[[Source], list[np.ndarray]]) -> np.ndarray:
    """Return a whole whitened signal, merger at sample 0, (detector, time)."""
    setting, responses, _, _ = _prepared()
    spectrum = np.stack(spectra(source)) * responses
    return np.fft.irfft(spectrum, axis=-1) * setting.sample_rate_hz


def spectra_td(source: Source) -> list[np.ndarray]:
    """Return the transform of the signal in each detector, from series in time."""
    from pycbc.waveform import get_td_waveform

    setting, _, _, detectors = _prepared()
    plus, cross = get_td_waveform(**_arguments(source), delta_t=1 / setting.sample_rate_hz)
    angles = source["right_ascension"], source["declination"], source["polarization"]
    # "constant", the Earth standing still as for the others, is the fastest of its methods.
    how = {"method": "constant", "reference_time": setting.gps}
    return [_spectrum(d.project_wave(plus, cross, *angles, **how), setting) for d in detectors]


def _spectrum(h: Any, setting: DataSetting) -> np.ndarray:
    """Return the transform of a series whose time 0 is the merger, on the setting's grid."""
    samples = 2 * (setting.frequencies.size - 1)
    values = np.asarray(h)[-samples:]
    spectrum = np.fft.rfft(values, samples) / setting.sample_rate_hz
    begun = float(h.end_time) - values.size / setting.sample_rate_hz
    return spectrum * np.exp(-2j * np.pi * begun * setting.frequencies)


def spectra_fd(source: Source) -> list[np.ndarray]:
    """Return the transform of the signal in each detector."""
    from pycbc.waveform import get_fd_waveform

    setting, _, _, detectors = _prepared()
    f = setting.frequencies
    made = get_fd_waveform(**_arguments(source), delta_f=f[1], f_final=f[-1])
    plus, cross = (np.asarray(h)[: f.size] for h in made)
    sky = source["right_ascension"], source["declination"]
    spectra = []
    for detector in detectors:
        f_plus, f_cross = detector.antenna_pattern(*sky, source["polarization"], setting.gps)
        delay = detector.time_delay_from_earth_center(*sky, setting.gps)
        spectra.append((f_plus * plus + f_cross * cross) * np.exp(-2j * np.pi * delay * f))
    return spectra


def _arguments(source: Source) -> dict[str, Any]:
    setting = _prepared().setting
    return {
        "approximant": "IMRPhenomD",
        "mass1": source["mass_1"],
        "mass2": source["mass_2"],
        "spin1z": source["spin_1z"],
        "spin2z": source["spin_2z"],
        "inclination": source["inclination"],
        "coa_phase": source["phase"],
        "distance": source["distance"],
        "f_lower": setting.lowest_hz,
        "f_ref": setting.reference_hz,
    }


def _cropped(strain: np.ndarray) -> np.ndarray:
    before, after = _prepared().setting.crop
    return np.concatenate([strain[:, -before:], strain[:, :after]], axis=1).astype(np.float32)


def _prepared() -> _Worker:
    assert _worker is not None, "call prepare first"
    return _worker


def agreements(
    setting: DataSetting, ours: Float[np.ndarray, "n detector time"], count: int
) -> dict[str, Any]:
    """Compare the first signals of ours, unit network SNR, with PyCBC's, in this process."""
    prepare(setting)
    found = {}
    for how, spectra in (("get_td_waveform", spectra_td), ("get_fd_waveform", spectra_fd)):
        theirs = np.stack([whitened(s, spectra) for s in sources_of(setting)[:count]])
        snr = setting.sources["optimal_snr"][:count]
        found[f"PyCBC {how}"] = agreement(ours[:count], snr, theirs, setting.crop).to_dict()
    return found


def sources_of(setting: DataSetting) -> list[Source]:
    """Return the sources one by one."""
    count = len(setting.sources["mass_1"])
    single = {name: v for name, v in setting.sources.items() if v.ndim == 1}
    return [{name: float(v[i]) for name, v in single.items()} for i in range(count)]


class PycbcProcesses:
    """Processes that work side by side, started once and closed at the end."""

    def __init__(self, setting: DataSetting, processes: int) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would take JAX's threads along
        self._pool = context.Pool(processes, prepare, (setting,))
        self._processes, self._window_seconds = processes, setting.window_seconds
        self._sources = sources_of(setting)
        self._call = 0

    def __enter__(self) -> "PycbcProcesses":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.terminate()
        self._pool.join()

    def signals(self) -> list[Candidate]:
        """Return the ways to make whitened signals."""
        count = SIGNALS_EACH * self._processes
        return [
            Candidate(
                "PyCBC",
                "get_td_waveform, project_wave",
                count,
                lambda: self._each(signals_td, count),
            ),
            Candidate(
                "PyCBC",
                "get_fd_waveform, antenna_pattern",
                count,
                lambda: self._each(signals_fd, count),
            ),
        ]

    def noise(self) -> list[Candidate]:
        """Return the ways to make noise windows."""
        each, n = WINDOWS_EACH, self._processes
        in_stretches = int(STRETCH_SECONDS / self._window_seconds) * n
        return [
            Candidate(
                "PyCBC", "noise_from_psd, each window on its own", each * n,
                lambda: self._pool.map(noise_windows, list(self._seeds(each * n).reshape(n, each))),
            ),
            Candidate(
                "PyCBC", "noise_from_psd, cropped from long stretches",in_stretches,
                lambda: self._pool.map(noise_stretch, self._seeds(n), chunksize=1),
            ),
        ]  # fmt: skip

    def _each(self, make: Callable[[Sequence[Source]], Any], count: int) -> Any:
        """Deal other sources in every call, evenly to the processes."""
        picked = self._seeds(count) % len(self._sources)
        parts = picked.reshape(self._processes, -1)
        return self._pool.map(make, [[self._sources[i] for i in part] for part in parts])

    def _seeds(self, count: int) -> np.ndarray:
        self._call += count
        return np.arange(self._call - count, self._call)
