"""Make excess_power.json: the loudest tile of gwpy's Q-transform of sine-Gaussians in noise.

Run with gwpy installed: python tests/golden/make_excess_power.py
"""

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
from gwpy.signal.qtransform import q_scan
from gwpy.timeseries import TimeSeries

RATE, SECONDS = 1024, 16
# Frequency in Hz, quality and SNR of each.
CASES = [(60.0, 8.0, 15.0), (90.0, 12.0, 25.0), (120.0, 20.0, 40.0), (180.0, 6.0, 10.0)]


def strain(number: int) -> np.ndarray:
    """White noise of unit variance and a sine-Gaussian at 8.3 s, written out for the test."""
    frequency, quality, snr = CASES[number]
    time = np.arange(SECONDS * RATE) / RATE - 8.3
    width = quality / (np.sqrt(2) * np.pi * frequency)
    shape = np.exp(-((time / width) ** 2)) * np.cos(2 * np.pi * frequency * time + 1.0)
    noise = np.random.default_rng(number).standard_normal(time.size)
    return noise + snr * shape / np.linalg.norm(shape)


def main() -> None:
    rows = []
    for number in range(len(CASES)):
        series = TimeSeries(strain(number), sample_rate=RATE)
        gram, _ = q_scan(series, mismatch=0.05, qrange=(4, 64), frange=(30, 250))
        # It divides energies by their median, which is 2 ln 2 of what a unit of noise gives.
        snr = np.sqrt(2 * np.log(2) * float(gram.peak["energy"]) - 2)
        peak = {name: float(gram.peak[name]) for name in ("time", "frequency")}
        rows.append(peak | {"snr": float(snr), "quality": float(gram.plane.q)})
    path = Path(__file__).with_name("excess_power.json")
    path.write_text(json.dumps({"gwpy": version("gwpy"), "peaks": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
