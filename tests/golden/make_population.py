"""Write population.json, the reference values of priors and populations.

    python -m venv venv && venv/bin/pip install pycbc
    venv/bin/python tests/golden/make_population.py

From PyCBC's distributions and conversions, Astropy's cosmology and, for the power law +
peak, adaptive integrals of the densities as Talbot and Thrane (2018) print them.
"""

import json
from itertools import pairwise
from pathlib import Path

import astropy
import astropy.units as u
import numpy as np
import pycbc
from astropy.cosmology import Planck18, z_at_value
from pycbc import conversions, coordinates, distributions, transforms
from scipy.integrate import quad

FRACTIONS = [0.001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999]
LAWS = [  # alpha, mmin, mmax, delta_m, lambda_peak, mu_m, sigma_m
    (3.4, 5.1, 86.9, 4.8, 0.038, 33.7, 3.6),
    (1.0, 5.0, 60.0, 0.0, 0.5, 30.0, 5.0),
    (-2.0, 2.0, 40.0, 20.0, 0.1, 35.0, 4.0),
]
BETA, MMIN, DELTA = 1.1, 5.1, 4.8


def rise(m: float, mmin: float, delta: float) -> float:
    if m <= mmin:
        return 0.0
    if m >= mmin + delta:
        return 1.0
    exponent = delta / (m - mmin) + delta / (m - mmin - delta)
    return 1 / (np.exp(exponent) + 1) if exponent < 700 else 0.0


def integral(density, start: float, end: float, edges: list[float]) -> float:
    points = sorted({start, end, *(e for e in edges if start < e < end)})
    parts = (quad(density, a, b, epsrel=1e-10, limit=200)[0] for a, b in pairwise(points))
    return sum(parts)


def power_law_peak(
    alpha: float, mmin: float, mmax: float, delta: float, share: float, mu: float, sigma: float
) -> dict:
    def bell(m: float) -> float:
        return np.exp(-0.5 * ((m - mu) / sigma) ** 2)

    def density(m: float) -> float:
        mixed = (1 - share) * m**-alpha / law_norm + share * bell(m) / bell_norm
        return mixed * rise(m, mmin, delta)

    edges = [mmin + delta, mu - 3 * sigma, mu, mu + 3 * sigma]
    law_norm = quad(lambda m: m**-alpha, mmin, mmax)[0]
    bell_norm = integral(bell, mmin, mmax, edges)
    masses = np.linspace(mmin, mmax, 42)[1:-1]
    whole = integral(density, mmin, mmax, edges)
    below = [integral(density, mmin, m, edges) / whole for m in masses]
    row = {"alpha": alpha, "mmin": mmin, "mmax": mmax, "delta": delta}
    row |= {"share": share, "mu": mu, "sigma": sigma}
    return row | {"masses": masses.tolist(), "below": below}


def mass_ratio() -> dict:
    rows = []
    for mass_1 in (6.5, 12.0, 40.0, 80.0):
        first = MMIN / mass_1

        def density(q: float, mass_1: float = mass_1) -> float:
            return q**BETA * rise(q * mass_1, MMIN, DELTA)

        edges = [(MMIN + DELTA) / mass_1]
        ratios = np.linspace(first, 1, 22)[1:-1]
        whole = integral(density, first, 1.0, edges)
        below = [integral(density, first, q, edges) / whole for q in ratios]
        rows.append({"mass_1": mass_1, "ratios": ratios.tolist(), "below": below})
    return {"beta": BETA, "mmin": MMIN, "delta": DELTA, "rows": rows}


def cosmology() -> dict:
    distances = np.geomspace(1.0, 1e5, 21)
    redshifts = [z_at_value(Planck18.luminosity_distance, d * u.Mpc, ztol=1e-12) for d in distances]
    laws = []
    for index in (0.0, 2.9):

        def density(z: float, index: float = index) -> float:
            volume = Planck18.differential_comoving_volume(z).value
            return volume * (1 + z) ** index / (1 + z)

        ends = [z_at_value(Planck18.luminosity_distance, d * u.Mpc) for d in (100, 1e4)]
        z = np.linspace(float(ends[0]), float(ends[1]), 32)[1:-1]
        whole = quad(density, float(ends[0]), float(ends[1]), epsrel=1e-10)[0]
        below = [quad(density, float(ends[0]), x, epsrel=1e-10)[0] / whole for x in z]
        luminosity = Planck18.luminosity_distance(z).value
        laws.append({"index": index, "distances": luminosity.tolist(), "below": below})
    return {
        "distances": distances.tolist(),
        "redshifts": [float(z) for z in redshifts],
        "low": 100.0,
        "high": 1e4,
        "laws": laws,
    }


def quantiles() -> dict:
    radius = distributions.UniformRadius(x=(130, 350))
    power = distributions.UniformPowerLaw(x=(20, 300), dim=5)
    log = distributions.UniformLog10(x=(3.0, 100.0))
    sine, cosine = distributions.SinAngle(x=(0.2, 2.9)), distributions.CosAngle(x=(-1.2, 1.0))
    found = {
        "volume": [radius.cdfinv(x=f)["x"] for f in FRACTIONS],
        "fourth_power": [power.cdfinv(x=f)["x"] for f in FRACTIONS],
        "sine": [sine._cdfinv_param("x", f) for f in FRACTIONS],
        "cosine": [cosine._cdfinv_param("x", f) for f in FRACTIONS],
        "log": [log._cdfinv_param("x", f) for f in FRACTIONS],
    }
    return {"fractions": FRACTIONS} | {k: [float(x) for x in v] for k, v in found.items()}


def binaries(rng: np.random.Generator) -> list[dict[str, float]]:
    rows = []
    for _ in range(20):
        mass_2, mass_1 = np.sort(rng.uniform(5, 80, 2))
        row = {"mass_1": mass_1, "mass_2": mass_2, "chirp_distance": rng.uniform(130, 350)}
        for body in (1, 2):
            magnitude, azimuth = rng.uniform(0, 0.99), rng.uniform(0, 2 * np.pi)
            tilt = np.arccos(rng.uniform(-1, 1))
            xyz = coordinates.spherical_to_cartesian(magnitude, azimuth, tilt)
            row |= {f"spin_{body}": magnitude, f"tilt_{body}": tilt, f"azimuth_{body}": azimuth}
            row |= {f"spin_{body}{axis}": value for axis, value in zip("xyz", xyz, strict=True)}
        spins = [row[f"spin_{b}{a}"] for b in (1, 2) for a in "xy"]
        row["chirp_mass"] = conversions.mchirp_from_mass1_mass2(mass_1, mass_2)
        row["chi_eff"] = conversions.chi_eff(mass_1, mass_2, row["spin_1z"], row["spin_2z"])
        row["chi_p"] = conversions.chi_p(mass_1, mass_2, *spins)
        given = {"mchirp": row["chirp_mass"], "chirp_distance": row["chirp_distance"]}
        row["distance"] = transforms.ChirpDistanceToDistance().transform(given)["distance"]
        rows.append({name: float(value) for name, value in row.items()})
    return rows


def main() -> None:
    golden = {"pycbc": pycbc.__version__, "astropy": astropy.__version__}
    golden |= {"quantiles": quantiles(), "cosmology": cosmology()}
    golden |= {"power_law_peak": [power_law_peak(*law) for law in LAWS], "mass_ratio": mass_ratio()}
    golden["binaries"] = binaries(np.random.default_rng(20190901))
    Path(__file__).with_name("population.json").write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()
