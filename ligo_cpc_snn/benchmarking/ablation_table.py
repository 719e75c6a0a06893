"""One row per finished run, from the files it left: what it finds and what it costs."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

FALSE_POSITIVE_RATE = 1e-3
SNRS = (8.0, 10.0)
PER_MONTH = 1000.0  # false alarms at which the distance is given

HEAD = (
    "varied",
    "variant",
    "seed",
    *(f"TPR at 1e-3, SNR {snr:g}" for snr in SNRS),
    f"distance at {PER_MONTH:g}/month (Mpc)",
    "by the largest injected (Mpc)",
    "threshold's own rate (1/month)",
    "parameters",
    "bridge spikes (Hz)",
    "neuron spikes (Hz)",
    "ACs/s",
    "MACs/s",
    "training (s)",
)

NOTE = """
TPR: true-positive rate of windows at a false-positive rate of 1e-3, with its 95 % interval.
Distance: d_max and Mc_max {limits}; beside it with those of the largest injected, and the 90 %
Poisson interval of the false-alarm rate at its threshold.
Spikes per channel or neuron and second of noise. ACs/s and MACs/s: accumulates fed by spikes and
multiply-accumulates of the rest, per second of strain of all detectors
(`ligo_cpc_snn/evaluation/synops.py`). Training: time in training steps, without compilation and
evaluation. -: not measured, or not of this variant.
"""


class Distance(NamedTuple):
    """Sensitive distance of a search, Mpc, and the Poisson interval of its false alarms a month.

    `limits` says of what d_max and Mc_max are.
    """

    value: float
    error: float
    by_largest_injected: float
    per_month_low: float
    per_month_high: float
    limits: str


class Row(NamedTuple):
    """A run's line of the table; None where a number is not known."""

    group: str
    variant: str
    seed: int
    rates: list[dict[str, float] | None]  # true-positive rates at `SNRS`
    distance: Distance | None
    parameters: int | None
    bridge_rate_hz: float | None
    neuron_rate_hz: float | None
    accumulates: float | None
    multiply_accumulates: float | None
    training_seconds: float | None


def read_row(group: str, variant: str, seed: int, run_dir: Path, sensitivity: Path) -> Row:
    """Return the row of a finished run.

    Args:
        run_dir: with metrics.json and metrics.jsonl.
        sensitivity: of a campaign, used if it is there and searched with this run.
    """
    metrics = json.loads((run_dir / "metrics.json").read_text(encoding="utf-8"))
    operations = metrics.get("operations", {})
    return Row(
        group,
        variant,
        seed,
        [true_positive_rate(metrics["detection"], snr) for snr in SNRS],
        sensitive_distance(sensitivity, run_dir.name),
        metrics.get("parameters"),
        operations.get("bridge_rate_hz"),
        operations.get("neuron_rate_hz"),
        operations.get("accumulates"),
        operations.get("multiply_accumulates"),
        training_seconds(run_dir / "metrics.jsonl"),
    )


def true_positive_rate(detection: dict[str, Any], snr: float) -> dict[str, float] | None:
    """Return the rate and its interval at a false-positive rate of 1e-3, None if not measured."""
    for curve in detection["efficiency"]:
        if curve["threshold"]["nominal_rate"] == FALSE_POSITIVE_RATE and snr in detection["snrs"]:
            rate: dict[str, float] = curve["rates"][detection["snrs"].index(snr)]
            return rate
    return None


def sensitive_distance(file: Path, run: str) -> Distance | None:
    """Return what a campaign measured for a run folder of that name."""
    if not file.is_file():
        return None
    searches = json.loads(file.read_text(encoding="utf-8"))["searches"]
    for name, search in searches.items():
        if Path(name).name != run:
            continue
        for point in search["rates"]:
            alarms = point["false_alarms"]
            if alarms["asked_per_month"] == PER_MONTH and point["distance"]:
                return Distance(
                    point["distance"],
                    point["distance_error"],
                    point["distance_by_largest_injected"],
                    alarms["low"],
                    alarms["high"],
                    search["limits"],
                )
    return None


def training_seconds(file: Path) -> float | None:
    """Return the time in training steps, over all starts of a run.

    The log holds examples per second between its lines; of steps that were taken twice, after a
    kill, the later count.
    """
    lines = [json.loads(text) for text in file.read_text(encoding="utf-8").splitlines() if text]
    speed = {x["step"]: x["examples_per_second"] for x in lines if x["split"] == "train"}
    batch = _batch_size(file.parent)
    if not speed or batch is None:
        return None
    steps = sorted(speed)
    taken = [b - a for a, b in zip([0, *steps[:-1]], steps, strict=True)]
    return sum(batch * n / speed[step] for n, step in zip(taken, steps, strict=True))


def _batch_size(run_dir: Path) -> int | None:
    from ligo_cpc_snn.config.save import CONFIG_FILE, load_saved

    if not (run_dir / CONFIG_FILE).is_file():
        return None
    return load_saved(run_dir).training.batch_size


def markdown_table(rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table with a note on its columns."""
    lines = [HEAD, tuple("---" for _ in HEAD), *(_cells(row) for row in rows)]
    limits = dict.fromkeys(row.distance.limits for row in rows if row.distance is not None)
    note = NOTE.format(limits=" or ".join(limits) or "not measured")
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n" + note


def _cells(row: Row) -> tuple[str, ...]:
    far = row.distance
    distance = "-" if far is None else f"{far.value:.0f} ± {far.error:.0f}"
    rate = "-" if far is None else f"{far.per_month_low:.0f} to {far.per_month_high:.0f}"
    return (
        row.group,
        row.variant,
        str(row.seed),
        *(_rate(rate) for rate in row.rates),
        distance,
        _number(None if far is None else far.by_largest_injected, ".0f"),
        rate,
        "-" if row.parameters is None else f"{row.parameters:,}".replace(",", " "),
        _number(row.bridge_rate_hz, ".1f"),
        _number(row.neuron_rate_hz, ".1f"),
        _number(row.accumulates, ".2e"),
        _number(row.multiply_accumulates, ".2e"),
        _number(row.training_seconds, ".0f"),
    )


def _rate(rate: dict[str, float] | None) -> str:
    if rate is None:
        return "-"
    return f"{rate['value']:.2f} [{rate['low']:.2f}, {rate['high']:.2f}]"


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
