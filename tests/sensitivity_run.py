"""The folder of a measurement of sensitivity, made without measuring, for tests of its page."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

INJECTIONS = 300
BINS = {"network_snr": (4, 20), "chirp_mass": (10, 40), "mass_ratio": (0.3, 1.0),
        "distance": (200, 4000)}  # fmt: skip


def write_sensitivity(folder: Path, *, searches: int = 2, settings_hash: str = "a") -> Path:
    """Write `sensitivity.json` and `sensitivity.npz` of some searches, and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(3)
    injections = {name: rng.uniform(low, high, INJECTIONS) for name, (low, high) in BINS.items()}
    arrays = {f"injections/{name}": values for name, values in injections.items()}
    summaries = {}
    for number in range(searches):
        # The second search is twice as good: its statistic has half the noise.
        noise = rng.normal(0, 2 / (number + 1), INJECTIONS)
        statistic = injections["network_snr"] + noise
        rates = np.geomspace(30, 2e4, 200)
        distance = 900 + 300 * np.log10(rates) + 200 * number
        arrays |= {
            f"search_{number}/statistic": statistic,
            f"search_{number}/offset_seconds": rng.normal(0, 0.01, INJECTIONS),
            f"search_{number}/per_month": rates,
            f"search_{number}/distance": distance,
            f"search_{number}/distance_error": 0.02 * distance,
        }
        told = [_rate(asked, statistic, injections, number) for asked in (200.0, 1000.0, 10000.0)]
        summaries[f"search {number}"] = {
            "limits": "of the injections", "background_events": 500, "background_seconds": 86400.0,
            "resolved_per_month": 30.0, "foreground_events": 600,
            "foreground_events_without_injection": 200, "rates": told, "refused": {},
        }  # fmt: skip
    summary = {
        "name": "made", "published": "ds1", "caveats": [], "settings_hash": settings_hash,
        "injections": INJECTIONS, "background_seconds": 86400.0, "foreground_seconds": 86400.0,
        "optimal": [{"snr": 8.0, "distance": 2000.0, "distance_error": 40.0}],
        "searches": summaries, "config": {"seed": 1, "hash": settings_hash},
    }  # fmt: skip
    (folder / "sensitivity.json").write_text(json.dumps(summary))
    np.savez(folder / "sensitivity.npz", **arrays)
    return folder


def _rate(asked: float, statistic: np.ndarray, injections: Any, number: int) -> dict[str, Any]:
    threshold = 12.0 - np.log10(asked)
    found = statistic > threshold
    part = float(found.mean())
    value = 900 + 300 * np.log10(asked) + 200 * number
    return {
        "false_alarms": {"asked_per_month": asked, "threshold": threshold, "above": 7,
                         "per_month": asked, "low": asked / 2, "high": 2 * asked,
                         "exhausted": False},
        "found": int(found.sum()), "injections": INJECTIONS,
        "fraction": {"value": part, "low": part - 0.05, "high": part + 0.05},
        "distance": value, "distance_error": 0.02 * value, "distance_by_largest_injected": value,
        "timing": {"found": int(found.sum()), "median_error": 0.007, "error_95": 0.02},
        "snr_50": {"value": threshold, "low": threshold - 0.2, "high": threshold + 0.2},
        "efficiency_width": 0.8,
        "by": {name: _bins(values, found) for name, values in injections.items()},
    }  # fmt: skip


def _bins(values: np.ndarray, found: np.ndarray) -> list[dict[str, float]]:
    edges = np.quantile(values, np.linspace(0, 1, 7))
    rows = []
    for low, high in pairwise(edges):
        inside = (values >= low) & (values <= high)
        part = float(found[inside].mean())
        rows.append({"from": float(low), "to": float(high), "injections": int(inside.sum()),
                     "value": part, "low": 0.9 * part,
                     "high": part + 0.1 * (1 - part)})  # fmt: skip
    return rows
