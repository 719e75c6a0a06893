"""Make conditioning.npz: a median-Welch PSD and whitened strain as PyCBC has them.

Needs pycbc, which the package does not:

    python tests/golden/make_conditioning.py

The strain is noise of a steep spectrum with two lines, which truncation smooths.
"""

from pathlib import Path

import numpy as np
from pycbc.psd import interpolate, inverse_spectrum_truncation, welch
from pycbc.types import TimeSeries

RATE, SECONDS, SEGMENT, FILTER, LOWEST_HZ = 512, 32, 4, 2, 15.0


def make_strain() -> np.ndarray:
    rng = np.random.default_rng(20150914)
    samples = SECONDS * RATE
    frequencies = np.fft.rfftfreq(2 * samples, 1 / RATE)
    shape = 1 + (40 / np.maximum(frequencies, 10)) ** 4 + frequencies / 200
    noise = np.fft.irfft(np.fft.rfft(rng.standard_normal(2 * samples)) * shape)[:samples]
    times = np.arange(samples) / RATE
    for frequency, amplitude in ((60.0, 2.0), (180.3, 0.5)):
        noise += amplitude * np.sin(2 * np.pi * frequency * times)
    return (noise * 0.01).astype(np.float32)  # in units of 1e-21


def main() -> None:
    strain = make_strain()
    series = TimeSeries(strain.astype(np.float64) * 1e-21, delta_t=1 / RATE)
    psd = welch(series, SEGMENT * RATE, SEGMENT * RATE // 2, avg_method="median")
    fine = interpolate(psd, 1 / SECONDS)
    truncated = inverse_spectrum_truncation(
        fine, FILTER * RATE, low_frequency_cutoff=LOWEST_HZ, trunc_method="hann"
    )
    whitened = (series.to_frequencyseries() / truncated**0.5).to_timeseries()
    half = FILTER * RATE // 2
    np.savez_compressed(
        Path(__file__).with_name("conditioning.npz"),
        strain=strain,
        asd=np.sqrt(psd.numpy()) * 1e21,
        whitened=whitened.numpy()[half:-half].astype(np.float32),
        settings=np.array([RATE, SEGMENT, FILTER]),
    )


if __name__ == "__main__":
    main()
