"""Write pycbc_snr.json, signal-to-noise ratios from PyCBC that tests compare with.

    python -m venv venv && venv/bin/pip install pycbc
    venv/bin/python tests/golden/make_pycbc_snr.py ../shared/data/mlgwsc1

PyCBC is no dependency of the package: only this script needs it. `sigma` is PyCBC's, of h_plus
of random binaries at 1 Gpc in aLIGOZeroDetHighPower; `triggers` are the highest points of its
matched filter, per injection of the MLGWSC-1 files and detector, within 0.1 s of the injection.
"""

import json
import sys
from pathlib import Path

import h5py
import numpy as np
import pycbc
from pycbc.filter import highpass, matched_filter, sigma
from pycbc.psd import aLIGOZeroDetHighPower
from pycbc.types import TimeSeries
from pycbc.waveform import get_fd_waveform

LOWEST_HZ = 20.0
RATE = 2048
DELTA_HZ = 1 / 64


def density() -> dict[str, list[float]]:
    psd = aLIGOZeroDetHighPower(int(RATE / 2 / DELTA_HZ) + 1, DELTA_HZ, 15.0)
    bins = np.unique(np.round(np.geomspace(15.5, 1023, 500) / DELTA_HZ).astype(int))
    values = np.sqrt(psd.numpy()[bins])
    return {"hz": list(bins * DELTA_HZ), "asd": [float(f"{x:.7e}") for x in values]}


def template(approximant: str, length: int, delta_hz: float, **parameters: float):
    plus, _ = get_fd_waveform(
        approximant=approximant, delta_f=delta_hz, f_lower=LOWEST_HZ, f_ref=LOWEST_HZ,
        distance=1000.0, **parameters,
    )  # fmt: skip
    plus.resize(length)
    return plus


def sigmas() -> list[dict[str, object]]:
    rng = np.random.default_rng(20150914)
    length = int(RATE / 2 / DELTA_HZ) + 1
    psd = aLIGOZeroDetHighPower(length, DELTA_HZ, LOWEST_HZ)
    rows: list[dict[str, object]] = []
    for approximant in ("IMRPhenomD", "IMRPhenomXAS"):
        for _ in range(10):
            masses = np.sort(rng.uniform(5, 50, 2))[::-1]
            spins = rng.uniform(-0.9, 0.9, 2)
            one = {"mass1": masses[0], "mass2": masses[1], "spin1z": spins[0], "spin2z": spins[1]}
            one["inclination"], one["coa_phase"] = rng.uniform(0, np.pi), rng.uniform(0, 6)
            h = template(approximant, length, DELTA_HZ, **one)
            found = sigma(h, psd, LOWEST_HZ, 900.0)
            rows.append({"approximant": approximant, **one, "sigma": found})
    return rows


def triggers(folder: Path) -> list[dict[str, object]]:
    with h5py.File(folder / "ds1_inj_300s.hdf") as file:
        table = {name: file[name][()] for name in file}
    rows: list[dict[str, object]] = []
    for name in ("H1", "L1"):
        strain = read(folder / "ds1_fg_300s.hdf", name)
        for i, tc in enumerate(table["tc"]):
            masses = sorted((table["mass1"][i], table["mass2"][i]), reverse=True)
            length = len(strain) // 2 + 1
            psd = aLIGOZeroDetHighPower(length, strain.delta_f, 15.0)
            h = template("IMRPhenomXAS", length, strain.delta_f, mass1=masses[0], mass2=masses[1])
            snr = matched_filter(
                h, strain, psd=psd,
                low_frequency_cutoff=LOWEST_HZ, high_frequency_cutoff=900.0,
            )  # fmt: skip
            near = snr.time_slice(float(tc) - 0.1, float(tc) + 0.1)
            loudest = near.abs_arg_max()
            row = {"detector": name, "injection": i, "snr": float(abs(near[loudest]))}
            rows.append(row | {"gps": float(near.sample_times[loudest])})
    return rows


def read(path: Path, name: str) -> TimeSeries:
    with h5py.File(path) as file:
        (data,) = file[name].values()
        start = float(data.attrs["start_time"])
        series = TimeSeries(data[()], delta_t=float(data.attrs["delta_t"]), epoch=start)
    return highpass(series, 15.0)


def main() -> None:
    golden = {"pycbc": pycbc.__version__, "asd": density()}
    golden |= {"sigma": sigmas(), "triggers": triggers(Path(sys.argv[1]))}
    text = json.dumps(golden, indent=1, default=float)
    Path(__file__).with_name("pycbc_snr.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
