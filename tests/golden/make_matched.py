"""Write matched.json, chi-squared and re-weighted ratios from PyCBC that tests compare with.

    python -m venv venv && venv/bin/pip install pycbc
    venv/bin/python tests/golden/make_matched.py ../shared/data/mlgwsc1

PyCBC is no dependency of the package: only this script needs it. `triggers` are, per injection
of the MLGWSC-1 files and detector, the highest point of its matched filter within 0.1 s of the
injection, of the injection's own masses; `reduced` is the power chi-squared of 16 bins there,
over its degrees of freedom. `newsnr` tabulates the re-weighting. `matches` are those of pairs
of IMRPhenomXAS with aligned spins, near and far, in aLIGOZeroDetHighPower from 20 to 1024 Hz.
"""

import json
import sys
from pathlib import Path

import h5py
import numpy as np
import pycbc
from make_pycbc_snr import LOWEST_HZ, RATE, read, template
from pycbc.events.ranking import newsnr
from pycbc.filter import match, matched_filter
from pycbc.psd import aLIGOZeroDetHighPower
from pycbc.vetoes import power_chisq

HIGHEST_HZ = 900.0
BINS = 16


def triggers(folder: Path) -> list[dict[str, object]]:
    with h5py.File(folder / "ds1_inj_300s.hdf") as file:
        table = {name: file[name][()] for name in file}
    rows: list[dict[str, object]] = []
    for name in ("H1", "L1"):
        strain = read(folder / "ds1_fg_300s.hdf", name)
        length = len(strain) // 2 + 1
        psd = aLIGOZeroDetHighPower(length, strain.delta_f, 15.0)
        for i, tc in enumerate(table["tc"]):
            masses = sorted((table["mass1"][i], table["mass2"][i]), reverse=True)
            h = template("IMRPhenomXAS", length, strain.delta_f, mass1=masses[0], mass2=masses[1])
            band = {"low_frequency_cutoff": LOWEST_HZ, "high_frequency_cutoff": HIGHEST_HZ}
            snr = matched_filter(h, strain, psd=psd, **band)
            squared = power_chisq(h, strain, BINS, psd, **band)
            reduced = squared / (2 * BINS - 2)
            near = snr.time_slice(float(tc) - 0.1, float(tc) + 0.1)
            peak = near.abs_arg_max()
            gps = float(near.sample_times[peak])
            at = round((gps - float(snr.start_time)) * strain.sample_rate)
            values = {"snr": float(abs(snr[at])), "reduced": float(reduced[at])}
            values["reweighted"] = float(newsnr(values["snr"], values["reduced"]))
            rows.append({"detector": name, "masses": masses, "tc": tc, "gps": gps, **values})
    return rows


def table() -> list[list[float]]:
    pairs = [(snr, x) for snr in (3.0, 5.5, 9.0, 30.0) for x in (0.3, 1.0, 1.01, 2.0, 10.0)]
    return [[snr, x, float(newsnr(snr, x))] for snr, x in pairs]


def matches() -> list[dict[str, object]]:
    rng = np.random.default_rng(4)
    length, step = 16 * RATE * 2 + 1, 1 / 64
    psd = aLIGOZeroDetHighPower(length, step, 15.0)
    rows: list[dict[str, object]] = []
    for size in np.geomspace(0.002, 0.1, 24):
        masses = np.sort(rng.uniform(10, 50, 2))[::-1]
        spins = rng.uniform(-0.9, 0.9, 2)
        moved = masses * (1 + size * rng.uniform(-1, 1, 2)), spins + size * rng.uniform(-1, 1, 2)
        pair = [[float(max(m)), float(min(m)), *map(float, s)] for m, s in ((masses, spins), moved)]
        one, other = (
            template("IMRPhenomXAS", length, step, mass1=a, mass2=b, spin1z=c, spin2z=d)
            for a, b, c, d in pair
        )
        found, _ = match(one, other, psd, LOWEST_HZ, subsample_interpolation=True)
        rows.append({"pair": pair, "match": float(found)})
    return rows


def main() -> None:
    golden = {
        "pycbc": pycbc.__version__,
        "newsnr": table(),
        "triggers": triggers(Path(sys.argv[1])),
        "matches": matches(),
    }
    text = json.dumps(golden, indent=1, default=float)
    Path(__file__).with_name("matched.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
