"""Write sensitivity.npz: sources of the mock data challenge and their optimal SNRs, by LAL.

Run where PyCBC (2.11) and LAL are: python make_sensitivity.py FOLDER_OF_PSDS
Sources are drawn here with NumPy as the challenge's ds1.ini and ds3.ini say: nothing of the
package is used. Noise: aLIGOZeroDetHighPower for ds1; for ds3 the O3 curves of H1 and L1 in
place of the challenge's 20 of O3a.
"""

import sys
from pathlib import Path

import lal
import lalsimulation as ls
import numpy as np
from pycbc.detector import Detector

COUNT = 4000
STEP_HZ, LOWEST_HZ, HIGHEST_HZ = 0.125, 20.0, 1024.0
GPS = 1238205077.0
MODES = {"ds1": [(2, 2)], "ds3": [(2, 2), (2, 1), (3, 3), (3, 2), (4, 4)]}
LOWEST_MASS = {"ds1": 10.0, "ds3": 7.0}


def draw(rng, name):
    masses = np.sort(rng.uniform(LOWEST_MASS[name], 50, (2, COUNT)), axis=0)[::-1]
    mchirp = (masses[0] * masses[1]) ** 0.6 / masses.sum(0) ** 0.2
    chirp_distance = (rng.uniform(130.0**3, 350.0**3, COUNT)) ** (1 / 3)
    size = rng.uniform(0, 0.99, (2, COUNT)) * (name == "ds3")
    cosine, azimuth = rng.uniform(-1, 1, (2, COUNT)), rng.uniform(0, 2 * np.pi, (2, COUNT))
    across = size * np.sqrt(1 - cosine**2)
    return {
        "masses": masses,
        "spins": np.array([across * np.cos(azimuth), across * np.sin(azimuth), size * cosine]),
        "distance": chirp_distance * (mchirp / (1.4 * 2**-0.2)) ** (5 / 6),
        "inclination": np.arccos(rng.uniform(-1, 1, COUNT)),
        "phase": rng.uniform(0, 2 * np.pi, COUNT),
        "ra": rng.uniform(0, 2 * np.pi, COUNT),
        "dec": np.arcsin(rng.uniform(-1, 1, COUNT)),
        "polarization": rng.uniform(0, 2 * np.pi, COUNT),
    }


def polarizations(drawn, i, settings):
    h = ls.SimInspiralChooseFDWaveform(
        *(float(m) * lal.MSUN_SI for m in drawn["masses"][:, i]),
        *(float(s) for s in drawn["spins"][:, 0, i]),
        *(float(s) for s in drawn["spins"][:, 1, i]),
        float(drawn["distance"][i]) * 1e6 * lal.PC_SI,
        float(drawn["inclination"][i]),
        float(drawn["phase"][i]),
        0.0, 0.0, 0.0, STEP_HZ, LOWEST_HZ, HIGHEST_HZ, 20.0, settings, ls.IMRPhenomXPHM,
    )  # fmt: skip
    return h[0].data.data, h[1].data.data


def main(folder):
    arrays = {}
    frequencies = np.arange(round(HIGHEST_HZ / STEP_HZ) + 1) * STEP_HZ
    inside = frequencies >= LOWEST_HZ
    for name in ("ds1", "ds3"):
        drawn = draw(np.random.default_rng([4, len(name), int(name[2])]), name)
        settings = lal.CreateDict()
        modes = ls.SimInspiralCreateModeArray()
        for ell, m in MODES[name]:
            ls.SimInspiralModeArrayActivateMode(modes, ell, m)
            ls.SimInspiralModeArrayActivateMode(modes, ell, -m)
        ls.SimInspiralWaveformParamsInsertModeArray(settings, modes)
        power = []
        for ifo in ("H1", "L1"):
            path = "aLIGO_ZERO_DET_high_P_psd" if name == "ds1" else f"aligo_O3actual_{ifo}"
            f, density = np.loadtxt(folder / f"{path}.txt").T
            density = density if name == "ds1" else density**2
            log = np.interp(np.log(frequencies[inside]), np.log(f), np.log(density))
            power.append(np.exp(log))
        detectors = [Detector(ifo) for ifo in ("H1", "L1")]
        snr = np.zeros(COUNT)
        for i in range(COUNT):
            plus, cross = polarizations(drawn, i, settings)
            for detector, density in zip(detectors, power, strict=True):
                sky = (drawn[key][i] for key in ("ra", "dec", "polarization"))
                a, b = detector.antenna_pattern(*sky, GPS)
                h = (a * plus + b * cross)[: frequencies.size][inside]
                snr[i] += 4 * STEP_HZ * np.sum(np.abs(h) ** 2 / density)
        columns = {"mass1": drawn["masses"][0], "mass2": drawn["masses"][1]}
        columns |= {"distance": drawn["distance"], "network_snr": np.sqrt(snr)}
        arrays |= {f"{name}_{key}": v.astype(np.float32) for key, v in columns.items()}
    np.savez_compressed(Path(__file__).with_name("sensitivity.npz"), **arrays)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
