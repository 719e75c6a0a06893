"""Write lal_<approximant>.npz, waveforms from LALSuite that tests compare with.

    python -m venv venv && venv/bin/pip install lalsuite
    venv/bin/python tests/golden/make_lal_waveforms.py

LALSuite is no dependency of the package: only this script needs it.

Each file has 200 random systems and LAL's polarizations, at 1 Gpc, at `frequencies`
(geometric progression): `real` and `imag` are 16-bit numbers, times `scale` (system,
polarization) and `envelope` (frequency); that rounding is a mismatch below 1e-8.

LAL's options are its defaults, but for two. The quadrupole of a neutron star follows from its
deformability by the universal relation, as in ripple. Precession is by MSA without a way out
(version 222 of IMRPhenomX; the default 223 is the same, but goes over to another description
where MSA fails, which ripple does not): systems where it fails, one in 200, are drawn again.
At equal masses MSA is singular, and LAL's waveform jumps there by a mismatch of 1e-2: the
two equal ones among precessing systems are unequal by 1e-6.

Frequencies are given one by one (SimInspiralChooseFDWaveformSequence), so that LAL
interpolates nothing: no multibanding of IMRPhenomXPHM. NRTidalv3 takes its time of
coalescence from the last frequency if that is below the merger: the last here is above.
"""

from pathlib import Path

import lal
import lalsimulation as sim
import numpy as np

GPC = 1e9 * lal.PC_SI
REFERENCE_HZ = 20.0
COUNT = 200
SPINS = ("spin_1x", "spin_1y", "spin_1z", "spin_2x", "spin_2y", "spin_2z")
TIDAL = ("TaylorF2", "IMRPhenomD_NRTidalv2", "IMRPhenomXAS_NRTidalv3")
PRECESSING = ("IMRPhenomXP", "IMRPhenomXPHM")
ALIGNED = ("IMRPhenomD", "IMRPhenomXAS")
BINARIES = np.geomspace(20.0, 1024.0, 120)
BURST_SECONDS, BURST_RATE = 32, 8192
NEUTRON_STARS = np.append(np.geomspace(20.0, 2048.0, 119), 4096.0)


def spin(rng: np.random.Generator, precessing: bool, largest: float) -> tuple[float, ...]:
    if not precessing:
        return 0.0, 0.0, rng.uniform(-largest, largest)
    size, cosine, azimuth = rng.uniform(0, largest), rng.uniform(-1, 1), rng.uniform(0, 2 * np.pi)
    in_plane = size * np.sqrt(1 - cosine**2)
    return in_plane * np.cos(azimuth), in_plane * np.sin(azimuth), size * cosine


def system(rng: np.random.Generator, name: str, equal: bool) -> dict[str, float]:
    low, high, largest = (1.0, 2.5, 0.4) if name in TIDAL else (5.0, 100.0, 0.99)
    masses = np.exp(rng.uniform(np.log(low), np.log(high), 2))
    if equal:
        masses[1] = masses[0] * (1 - 1e-6 * (name in PRECESSING))
    spins = [*spin(rng, name in PRECESSING, largest), *spin(rng, name in PRECESSING, largest)]
    lambdas = rng.uniform(0, 3000, 2) if name in TIDAL else (0.0, 0.0)
    return {
        "mass_1": masses.max(), "mass_2": masses.min(), **dict(zip(SPINS, spins, strict=True)),
        "inclination": np.arccos(rng.uniform(-1, 1)), "phase": rng.uniform(0, 2 * np.pi),
        "lambda_1": lambdas[0], "lambda_2": lambdas[1],
    }  # fmt: skip


def waveform(name: str, one: dict[str, float], frequencies: np.ndarray) -> np.ndarray:
    options = lal.CreateDict()
    sim.SimInspiralWaveformParamsInsertTidalLambda1(options, one["lambda_1"])
    sim.SimInspiralWaveformParamsInsertTidalLambda2(options, one["lambda_2"])
    sim.SimInspiralWaveformParamsInsertPhenomXPrecVersion(options, 222)
    for body in "12":
        quadrupole = sim.SimUniversalRelationQuadMonVSlambda2Tidal(one[f"lambda_{body}"])
        getattr(sim, f"SimInspiralWaveformParamsInsertdQuadMon{body}")(options, quadrupole - 1)
    sequence = lal.CreateREAL8Sequence(len(frequencies))
    sequence.data = frequencies
    masses = one["mass_1"] * lal.MSUN_SI, one["mass_2"] * lal.MSUN_SI
    both = sim.SimInspiralChooseFDWaveformSequence(
        one["phase"], *masses, *(one[key] for key in SPINS), REFERENCE_HZ, GPC,
        one["inclination"], options, getattr(sim, name), sequence,
    )  # fmt: skip
    return np.array([h.data.data for h in both])


def binaries(name: str) -> None:
    rng = np.random.default_rng([ord(letter) for letter in name])
    frequencies = NEUTRON_STARS if name in TIDAL else BINARIES
    rows, found = [], []
    while len(rows) < COUNT:
        one = system(rng, name, equal=len(rows) < 2)
        try:
            found.append(waveform(name, one, frequencies))
            rows.append(one)
        except RuntimeError as error:
            print(f"{name}: {error} for {one}")
    parameters = {key: np.array([row[key] for row in rows]) for key in rows[0]}
    h = np.array(found)
    if name == "TaylorF2":  # as SimInspiralChooseFDWaveform ends it, at the innermost orbit
        total = (parameters["mass_1"] + parameters["mass_2"]) * lal.MTSUN_SI
        end = 6**-1.5 / (np.pi * total)
        h = np.where(frequencies > end[:, None, None], 0, h)
    save(name, parameters, frequencies, h, frequencies ** (-7 / 6))


def bursts() -> None:
    """Save sine-Gaussians at 60 frequencies each, four standard deviations around the centre."""
    rng = np.random.default_rng(20150914)
    parameters = {
        "frequency_hz": np.exp(rng.uniform(np.log(40), np.log(400), COUNT)),
        "quality": np.exp(rng.uniform(np.log(3), np.log(100), COUNT)),
        "inclination": np.arccos(rng.uniform(-1, 1, COUNT)),
        "phase": rng.uniform(0, 2 * np.pi, COUNT),
    }
    frequencies, h = [], []
    for centre, quality, inclination, phase in zip(*parameters.values(), strict=True):
        cosine = np.cos(inclination)
        eccentricity = np.sqrt(max(0, 1 - (2 * cosine / (1 + cosine**2)) ** 2))
        both = sim.SimBurstSineGaussian(quality, centre, 1e-22, eccentricity, phase, 1 / BURST_RATE)
        spread = np.linspace(-4, 4, 60) * centre / quality
        bins = np.round(np.maximum(centre + spread, 5) * BURST_SECONDS).astype(int)
        frequencies.append(bins / BURST_SECONDS)
        plus, cross = (transform(series)[bins] for series in both)
        h.append([plus, cross if cosine > 0 else -cross])
    save("SineGaussian", parameters, np.array(frequencies), np.array(h), np.ones(60))


def transform(series: lal.REAL8TimeSeries) -> np.ndarray:
    """Return the Fourier transform with the phase of t = 0 at the series' own zero."""
    spectrum = np.fft.rfft(series.data.data, BURST_SECONDS * BURST_RATE) / BURST_RATE
    frequencies = np.arange(spectrum.size) / BURST_SECONDS
    return spectrum * np.exp(-2j * np.pi * frequencies * float(series.epoch))


def save(
    name: str,
    parameters: dict[str, np.ndarray],
    frequencies: np.ndarray,
    h: np.ndarray,
    envelope: np.ndarray,
) -> None:
    whitened = h / envelope
    scale = np.maximum(np.abs(whitened.real), np.abs(whitened.imag)).max(-1) / 32767
    parts = np.round(whitened / scale[..., None])
    parts = {"real": parts.real.astype(np.int16), "imag": parts.imag.astype(np.int16)}
    np.savez_compressed(
        Path(__file__).with_name(f"lal_{name}.npz"),
        frequencies=frequencies, envelope=envelope, scale=scale, **parts,
        reference_hz=REFERENCE_HZ, version=sim.__version__, **parameters,
    )  # fmt: skip


def main() -> None:
    for name in (*ALIGNED, *PRECESSING, *TIDAL):
        binaries(name)
    bursts()


if __name__ == "__main__":
    main()
