"""Clusters by PyCBC 2.11: `pycbc.events.coinc.cluster_over_time`, run once by hand."""

import json
from pathlib import Path

import numpy as np
from pycbc.events.coinc import cluster_over_time

WINDOW = 0.3


def case(rng: np.random.Generator, frames: int, spread: float) -> dict[str, list[float]]:
    """Return irregular times, statistics that wander, and what is kept."""
    time = np.round(np.sort(rng.uniform(0, frames * spread, frames)), 4)
    stat = np.round(np.cumsum(rng.standard_normal(frames)), 3)
    kept = np.sort(cluster_over_time(stat, time, WINDOW))
    return {"time": time.tolist(), "stat": stat.tolist(), "kept": kept.tolist()}


def main() -> None:
    rng = np.random.default_rng(0)
    cases = [case(rng, 120, spread) for spread in (0.01, 0.05, 0.2, 1.0)]
    out = Path(__file__).with_name("cluster_over_time.json")
    out.write_text(json.dumps({"window": WINDOW, "cases": cases}))


if __name__ == "__main__":
    main()
