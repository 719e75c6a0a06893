"""ml4gw, in batches on the CPU with as many threads as there are cores."""

from typing import Any

import numpy as np
from jaxtyping import Float

from ligo_cpc_snn.benchmarking.agreement import agreement
from ligo_cpc_snn.benchmarking.data_setting import LONG_SECONDS, Candidate, DataSetting
from ligo_cpc_snn.strain.detectors import greenwich_sidereal_angle

SIGNALS, WINDOWS, LONG_STRETCHES = 64, 256, 4


class Ml4gw:
    """Its functions on the setting's sources, with weights and tables made once."""

    def __init__(self, setting: DataSetting, threads: int) -> None:
        import torch
        from ml4gw.gw import get_ifo_geometry
        from ml4gw.waveforms import IMRPhenomD

        torch.set_num_threads(threads)
        self._setting = setting
        self._model = IMRPhenomD()
        self._geometry = get_ifo_geometry(*setting.detectors)
        f = torch.as_tensor(setting.frequencies, dtype=torch.float32)
        self._inside = f >= setting.lowest_hz
        self._frequencies = f[self._inside]
        # Of which `normalize_by_psd` takes the inverse root: infinite where nothing passes.
        gain = torch.as_tensor(setting.responses())
        self._density = 1 / (gain**2 * setting.sample_rate_hz)
        self._parameters = _parameters(setting)
        self._call = 0

    def whitened(self, indices: Any) -> Any:
        """Return whole whitened signals, merger at sample 0, (n, detector, time)."""
        import torch
        from ml4gw.gw import compute_observed_strain
        from ml4gw.spectral import normalize_by_psd

        drawn = {name: values[indices] for name, values in self._parameters.items()}
        sky = [drawn.pop(name) for name in ("dec", "psi", "phi")]
        cross, plus = (
            torch.fft.irfft(self._padded(h)) * self._setting.sample_rate_hz
            for h in self._model(self._frequencies, **drawn, f_ref=self._setting.reference_hz)
        )
        rate = self._setting.sample_rate_hz
        strain = compute_observed_strain(*sky, *self._geometry, rate, plus=plus, cross=cross)
        return normalize_by_psd(strain, self._density[None], rate, pad=0, crop=False)

    def _padded(self, h: Any) -> Any:
        import torch

        spectrum = torch.zeros((h.shape[0], self._inside.numel()), dtype=h.dtype)
        spectrum[:, self._inside] = h
        return spectrum

    def _signals(self) -> Any:
        import torch

        self._call += SIGNALS
        strain = self.whitened(np.arange(self._call - SIGNALS, self._call) % self.sources)
        before, after = self._setting.crop
        return torch.cat([strain[..., -before:], strain[..., :after]], dim=-1)

    @property
    def sources(self) -> int:
        """Number of different sources."""
        return len(self._parameters["chirp_mass"])

    def agreements(self, ours: Float[np.ndarray, "n detector time"], count: int) -> dict[str, Any]:
        """Compare the first signals of ours, of unit network SNR, with its own."""
        theirs = self.whitened(np.arange(count)).double().numpy()
        snr = self._setting.sources["optimal_snr"][:count]
        found = agreement(ours[:count], snr, theirs, self._setting.crop)
        return {"ml4gw": found.to_dict()}

    def signals(self) -> list[Candidate]:
        """Return its way to make whitened signals."""
        how = f"IMRPhenomD, compute_observed_strain, batches of {SIGNALS}"
        return [Candidate("ml4gw", how, SIGNALS, self._signals)]

    def noise(self) -> list[Candidate]:
        """Return windows coloured on a circle of their own length; ml4gw makes no noise."""
        import torch

        n, rate = self._setting.window, self._setting.sample_rate_hz
        asd = self._setting.curves[0].at(np.fft.rfftfreq(n, 1 / rate))
        # Each complex bin has a variance of n / 2 in each part, before colouring.
        gain = torch.as_tensor(asd * np.sqrt(n * rate) / 2)
        gain[0] = 0

        def windows() -> Any:
            parts = torch.randn(2, WINDOWS, n // 2 + 1)
            return torch.fft.irfft(torch.complex(*parts) * gain, n)

        return [Candidate("torch", "randn and irfft, periodic windows", WINDOWS, windows)]

    def whitening(self, filter_seconds: float) -> dict[float, list[Candidate]]:
        """Return its whitening by the seconds of strain that it is given."""
        import torch
        from ml4gw.transforms import Whiten

        setting = self._setting
        seconds = {setting.window_seconds: WINDOWS // 2, LONG_SECONDS: LONG_STRETCHES}
        transform = Whiten(filter_seconds, setting.sample_rate_hz, highpass=setting.lowest_hz)
        found = {}
        for length, count in seconds.items():
            samples = round(length * setting.sample_rate_hz)
            f = np.fft.rfftfreq(samples, 1 / setting.sample_rate_hz)
            psd = torch.as_tensor(np.stack([curve.at(f) ** 2 for curve in setting.curves]))
            strain = torch.as_tensor(setting.strain(length))
            batch = strain.expand(count, *strain.shape).contiguous()

            def run(batch: Any = batch, psd: Any = psd) -> Any:
                return transform(batch, psd)

            how = f"transforms.Whiten, batches of {count}"
            detectors = len(setting.detectors)
            found[length] = [Candidate("ml4gw", how, count * detectors, run)]
        return found


def _parameters(setting: DataSetting) -> dict[str, Any]:
    """Return the sources under ml4gw's names, float32 as it takes them."""
    import torch

    drawn = setting.sources
    m1, m2 = drawn["mass_1"], drawn["mass_2"]
    angle = float(greenwich_sidereal_angle(setting.gps))
    named = {
        "chirp_mass": (m1 * m2) ** 0.6 / (m1 + m2) ** 0.2,
        "mass_ratio": m2 / m1,
        "chi1": drawn["spin_1z"],
        "chi2": drawn["spin_2z"],
        "distance": drawn["distance"],
        "phic": drawn["phase"],
        "inclination": drawn["inclination"],
        "dec": drawn["declination"],
        "psi": drawn["polarization"],
        "phi": drawn["right_ascension"] - angle,
    }
    return {name: torch.tensor(v, dtype=torch.float32) for name, v in named.items()}
