"""Write lal.json, the reference values from LALSuite that tests compare with.

    python -m venv venv && venv/bin/pip install lalsuite
    venv/bin/python tests/golden/make_lal.py

LALSuite is no dependency of the package: only this script needs it.
"""

import json
from pathlib import Path

import lal
import numpy as np

# Twelve times of a sidereal day in each of four years, before and after leap seconds.
TIMES = [
    start + hours * 3590.17
    for start in (630763213.25, 1126259462.4, 1187008882.43, 1420878141.2)
    for hours in range(0, 24, 2)
]


def geometry(rng: np.random.Generator) -> list[dict[str, float]]:
    rows = []
    for name in ("H1", "L1", "V1", "K1"):
        detector = lal.cached_detector_by_prefix[name]
        for gps in TIMES:
            ra, psi = rng.uniform(0, 2 * np.pi), rng.uniform(0, np.pi)
            dec = np.arcsin(rng.uniform(-1, 1))
            gmst = lal.GreenwichMeanSiderealTime(lal.LIGOTimeGPS(gps))
            plus, cross = lal.ComputeDetAMResponse(detector.response, ra, dec, psi, gmst)
            delay = lal.TimeDelayFromEarthCenter(detector.location, ra, dec, lal.LIGOTimeGPS(gps))
            row = {"gps": gps, "right_ascension": ra, "declination": dec, "polarization": psi}
            row |= {"gmst": gmst % (2 * np.pi), "plus": plus, "cross": cross, "delay": delay}
            rows.append({"detector": name} | row)
    return rows


def main() -> None:
    rng = np.random.default_rng(20150914)
    golden = {"lal": lal.__version__}
    golden |= {"geometry": geometry(rng)}
    Path(__file__).with_name("lal.json").write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()
