"""What the stages are to reach, at the scale that it is stated for: `small`, on a CPU."""

from collections.abc import Mapping
from statistics import median
from typing import Any, NamedTuple

CEILINGS_MS = {"data": 10, "cpc": 20, "snn": 30, "forward": 100, "training step": 200}
COMPILATION_CEILING_S = 10.0  # of the training step
MEMORY_CEILING_GB = 8.0


class Aim(NamedTuple):
    """A ratio of two stages of one rotation: `slow` over `fast`.

    Args:
        bound: of the ratio, at least; or at most, where `at_most`.
    """

    name: str
    slow: str
    fast: str
    bound: float
    at_most: bool = False


AIMS = (
    Aim("SNN over plain Spyx", "snn gradient, spyx.nn.run", "snn gradient", 1.9),
    Aim("SNN over spikingjelly", "snn gradient, spikingjelly", "snn gradient", 5.0),
    # As their tutorials write it; with products over all frames they are several times faster.
    Aim("SNN over snntorch", "snn gradient, snntorch frame by frame", "snn gradient", 20.0),
    Aim("SNN over norse", "snn gradient, norse frame by frame", "snn gradient", 20.0),
    Aim("SNN over its matrix products", "snn gradient", "matrix products gradient", 1.6, True),
    Aim("encoder over torch conv1d", "encoder, torch conv1d", "encoder", 1.5),
    Aim(
        "step over torch with spikingjelly",
        "training step, torch conv + GRU + spikingjelly",
        "training step",
        3.0,
    ),
    Aim(
        "step over torch with snntorch",
        "training step, torch conv + GRU + snntorch",
        "training step",
        5.0,
    ),
)


def judged(scale: str, platform: str) -> bool:
    """Return whether ceilings and aims are stated for this scale and platform."""
    return scale == "small" and platform == "cpu"


def times(slow: Mapping[str, Any], fast: Mapping[str, Any]) -> float:
    """Return how many times one stage takes another's time, of one rotation.

    The median over the rounds of the ratio within a round: the machine's speed is no part of it.
    """
    return median(a / b for a, b in zip(slow["rounds_ms"], fast["rounds_ms"], strict=True))


def measured_aims(stages: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the ratio of each aim whose stages were measured, and whether it is reached."""
    found = []
    for aim in AIMS:
        if aim.slow not in stages or aim.fast not in stages:
            continue
        ratio = times(stages[aim.slow], stages[aim.fast])
        reached = ratio <= aim.bound if aim.at_most else ratio >= aim.bound
        found.append({**aim._asdict(), "ratio": ratio, "reached": reached})
    return found


def missed(result: Mapping[str, Any]) -> list[str]:
    """Return the ceilings and aims that were measured and not met, in words."""
    if not judged(result["scale"], result["machine"]["platform"]):
        return []
    told = [
        f"{name}: {row['median_ms']:.1f} ms, ceiling {CEILINGS_MS[name]} ms"
        for name, row in result["stages"].items()
        if row["median_ms"] > CEILINGS_MS.get(name, float("inf"))
    ]
    if result["compilation_s"] > COMPILATION_CEILING_S:
        told.append(f"compilation: {result['compilation_s']:.1f} s, ceiling 10 s")
    if result["peak_memory_gb"] > MEMORY_CEILING_GB:
        told.append(f"memory: {result['peak_memory_gb']:.1f} GB, ceiling 8 GB")
    for aim in result["aims"]:
        if not aim["reached"]:
            bound = f"at {'most' if aim['at_most'] else 'least'} {aim['bound']:g}"
            told.append(f"{aim['name']}: {aim['ratio']:.2f} times, aim {bound}")
    return told
