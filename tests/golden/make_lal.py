"""Write lal.json, the reference values from LALSuite that tests compare with.

    python -m venv venv && venv/bin/pip install lalsuite
    venv/bin/python tests/golden/make_lal.py

LALSuite is no dependency of the package: only this script needs it.
"""

import json
from pathlib import Path

import lal
import lalsimulation as sim
import numpy as np

GPC = 1e9 * lal.PC_SI
DELTA_HZ = 0.125
REFERENCE_HZ = 20.0
LOWEST_HZ = 20.0
HIGHEST_HZ = 1024.0


def geometry(rng: np.random.Generator) -> list[dict[str, float]]:
    rows = []
    for name in ("H1", "L1", "V1", "K1"):
        detector = lal.cached_detector_by_prefix[name]
        for gps in (630763213.25, 1126259462.4, 1187008882.43, 1420878141.2):
            ra, psi = rng.uniform(0, 2 * np.pi), rng.uniform(0, np.pi)
            dec = np.arcsin(rng.uniform(-1, 1))
            gmst = lal.GreenwichMeanSiderealTime(lal.LIGOTimeGPS(gps))
            plus, cross = lal.ComputeDetAMResponse(detector.response, ra, dec, psi, gmst)
            delay = lal.TimeDelayFromEarthCenter(detector.location, ra, dec, lal.LIGOTimeGPS(gps))
            row = {"gps": gps, "right_ascension": ra, "declination": dec, "polarization": psi}
            row |= {"gmst": gmst % (2 * np.pi), "plus": plus, "cross": cross, "delay": delay}
            rows.append({"detector": name} | row)
    return rows


def systems(rng: np.random.Generator) -> list[dict[str, float]]:
    rows = []
    for i in range(20):
        mass_1, mass_2 = sorted(rng.uniform(8, 80, 2), reverse=True)
        if i < 2:
            mass_2 = mass_1 = (10.0, 30.0)[i]  # equal masses
        spin_1z, spin_2z = rng.uniform(-0.95, 0.95, 2)
        inclination, phase = np.arccos(rng.uniform(-1, 1)), rng.uniform(0, 2 * np.pi)
        row = {"mass_1": mass_1, "mass_2": mass_2, "spin_1z": spin_1z, "spin_2z": spin_2z}
        rows.append(row | {"inclination": inclination, "phase": phase})
    return rows


def polarizations(one: dict[str, float]) -> tuple[np.ndarray, np.ndarray]:
    plus, cross = sim.SimInspiralChooseFDWaveform(
        one["mass_1"] * lal.MSUN_SI, one["mass_2"] * lal.MSUN_SI,
        0.0, 0.0, one["spin_1z"], 0.0, 0.0, one["spin_2z"],
        GPC, one["inclination"], one["phase"], 0.0, 0.0, 0.0,
        DELTA_HZ, LOWEST_HZ, HIGHEST_HZ, REFERENCE_HZ, None, sim.IMRPhenomD,
    )  # fmt: skip
    return plus.data.data, cross.data.data


def waveforms(rng: np.random.Generator) -> dict[str, object]:
    indices = np.unique(np.round(np.geomspace(LOWEST_HZ, 900, 32) / DELTA_HZ)).astype(int)
    rows = []
    for one in systems(rng):
        plus, cross = polarizations(one)
        values = {
            "plus_real": plus[indices].real, "plus_imag": plus[indices].imag,
            "cross_real": cross[indices].real, "cross_imag": cross[indices].imag,
        }  # fmt: skip
        rows.append(one | {k: [float(f"{x:.11e}") for x in v] for k, v in values.items()})
    return {
        "reference_hz": REFERENCE_HZ,
        "delta_hz": DELTA_HZ,
        "frequencies": (indices * DELTA_HZ).tolist(),
        "systems": rows,
    }


def main() -> None:
    rng = np.random.default_rng(20150914)
    golden = {"lal": lal.__version__, "lalsimulation": sim.__version__}
    golden |= {"geometry": geometry(rng), "waveforms": waveforms(rng)}
    Path(__file__).with_name("lal.json").write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()
