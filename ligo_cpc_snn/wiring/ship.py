"""Put a run's detector among those that come with the package, with its model card."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from ligo_cpc_snn.errors import UserError
from ligo_cpc_snn.search.trained import TrainedDetector
from ligo_cpc_snn.search.weights import SHIPPED, load_detector, save_detector
from ligo_cpc_snn.wiring.campaign_asked import label_of

LARGEST_BYTES = 8_000_000


def ship(
    run: str | Path,
    name: str,
    *,
    dtype: Literal["float32", "float16"] = "float32",
    limits: Sequence[str] = (),
    sensitivity: Path | None = None,
    threshold: float | None = None,
    folder: Path = SHIPPED,
) -> Path:
    """Write `<name>.safetensors` and `<name>.md`.

    Args:
        run: folder of the run, or a weights file.
        name: by which it will be loaded.
        dtype: of the parameters in the file.
        limits: added to those of the card.
        sensitivity: sensitivity.json of a campaign that searched with this run.
        threshold: of the statistic, above which a search tells triggers.
        folder: of shipped detectors.

    Raises:
        UserError: the file is too large to be committed, or the campaign is of other searches.
    """
    detector = load_detector(run)
    card = detector.card | {"limits": [*detector.card.get("limits", []), *limits]}
    if sensitivity is not None:
        measured = read_sensitivity(sensitivity, label_of(str(run)))
        card["numbers"] = card.get("numbers", {}) | {"sensitivity": measured}
    if threshold is not None:
        card["search_threshold"] = threshold
    detector = replace(detector, name=name, card=card)
    path = save_detector(folder / f"{name}.safetensors", detector, dtype)
    size = path.stat().st_size
    if size > LARGEST_BYTES:
        path.unlink()
        raise UserError(
            f"{path.name} has {size / 1e6:.1f} MB, expected less than {LARGEST_BYTES / 1e6:g} MB: "
            "use dtype=float16 or a smaller model"
        )
    page = model_card(detector) + f"\n{size / 1e6:.2f} MB, parameters stored as {dtype}.\n"
    path.with_suffix(".md").write_text(page, encoding="utf-8")
    return path


def read_sensitivity(file: Path, run: str) -> dict[str, Any]:
    """Return what a campaign measured for the run folder of that name.

    Raises:
        UserError: it did not search with it.
    """
    summary = json.loads(file.read_text(encoding="utf-8"))
    for name, search in summary["searches"].items():
        if Path(name).name == run:
            about = ("name", "injections", "background_seconds", "foreground_seconds")
            rates = [
                {
                    "per_month": point["false_alarms"]["asked_per_month"],
                    "per_month_low": point["false_alarms"]["low"],
                    "per_month_high": point["false_alarms"]["high"],
                    "distance": point["distance"],
                    "distance_error": point["distance_error"],
                    "distance_by_largest_injected": point["distance_by_largest_injected"],
                }
                for point in search["rates"]
            ]
            measured = {key: summary[key] for key in about}
            return measured | {"limits": search["limits"], "rates": rates}
    raise UserError(
        f"{file} has no search {run}, it has {', '.join(summary['searches'])}: give the campaign "
        "that searched with this run"
    )


def model_card(detector: TrainedDetector) -> str:
    """Return the card as Markdown: data, numbers, cost, provenance and limits."""
    card = detector.card
    numbers = card.get("numbers", {})
    parts = [
        f"# {detector.name}\n\n`ligo-search --detector {detector.name}`\n",
        _section("Data", card.get("data", {})),
        _detection(numbers.get("detection")),
        _sensitivity(numbers.get("sensitivity")),
        _section(
            "Strain it expects",
            {
                "detectors": ", ".join(detector.detectors),
                "sample rate (Hz)": detector.sample_rate_hz,
                "band (Hz)": "{:g} to {:g}".format(*detector.band_hz),
                "whitening filter (s)": detector.filter_seconds,
                "PSD segment (s)": detector.psd_segment_seconds,
                "time offset (s)": round(detector.time_offset_seconds, 4),
                "warm-up (s)": detector.warm_up_seconds,
                "threshold of a search": card.get("search_threshold"),
            },
        ),
        _section("Timing, validation injections", numbers.get("timing", {})),
        _section(
            "Cost per second of strain",
            {"parameters": numbers.get("parameters")} | numbers.get("operations", {}),
        ),
        _section(
            "How it was made",
            {
                "seed": card.get("seed"),
                "commit": card.get("commit"),
                "SHA-256 of its config": card.get("config_sha256"),
                "weights": card.get("weights"),
                **numbers.get("run", {}),
                **{k: card.get("machine", {}).get(k) for k in ("device", "processor", "cores")},
                **card.get("versions", {}),
            },
        ),
        "## Limits\n\n" + "\n".join(f"- {limit}" for limit in card.get("limits", [])) + "\n",
    ]
    return "\n".join(part for part in parts if part)


def _section(title: str, rows: dict[str, Any]) -> str:
    lines = [f"| {name.replace('_', ' ')} | {_text(x)} |" for name, x in rows.items()]
    return f"## {title}\n\n| | |\n|---|---|\n" + "\n".join(lines) + "\n" if lines else ""


def _text(value: Any) -> str:
    if value is None:
        return "not known"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _detection(detection: dict[str, Any] | None) -> str:
    if detection is None:
        return ""
    head = ["false-positive rate", *(f"SNR {snr:g}" for snr in detection["snrs"])]
    lines = [" | ".join(head), " | ".join("---" for _ in head)]
    for curve in detection["efficiency"]:
        rates = [f"{rate['value']:.3f}" for rate in curve["rates"]]
        lines.append(" | ".join([f"{curve['threshold']['nominal_rate']:g}", *rates]))
    about = (
        f"True-positive rate of {detection['signal_windows']} windows per network SNR, thresholds "
        f"from {detection['noise_windows']} windows of noise."
    )
    return f"## Windows found\n\n{about}\n\n" + "\n".join(f"| {x} |" for x in lines) + "\n"


def _sensitivity(measured: dict[str, Any] | None) -> str:
    if measured is None:
        return ""
    rows = {
        f"{rate['per_month']:g} false alarms a month": _reach(rate) for rate in measured["rates"]
    }
    rows["volume"] = f"d_max and Mc_max {measured['limits']}"
    title = (
        f"Sensitive distance: {measured['name']}, {measured['injections']} injections, "
        f"{measured['background_seconds']:.0f} s of background"
    )
    return _section(title, rows)


def _reach(rate: dict[str, Any]) -> str:
    if not rate["distance"]:
        return "nothing found"
    return (
        f"{rate['distance']:.0f} ± {rate['distance_error']:.0f} Mpc; "
        f"{rate['distance_by_largest_injected']:.0f} Mpc with the largest injected; threshold's "
        f"own rate {rate['per_month_low']:.0f} to {rate['per_month_high']:.0f} (90 %, Poisson)"
    )


def main(arguments: list[str] | None = None) -> int:
    """Command line of `scripts/ship_detector.py`."""
    parser = argparse.ArgumentParser("ship_detector", description=__doc__)
    parser.add_argument("run", help="run folder or .safetensors file")
    parser.add_argument("name", help="of the shipped detector")
    parser.add_argument("--dtype", choices=("float32", "float16"), default="float32")
    parser.add_argument("--limit", action="append", default=[], help="a line for the card")
    parser.add_argument("--sensitivity", type=Path, help="sensitivity.json of a campaign")
    parser.add_argument("--threshold", type=float, help="of the statistic, for triggers")
    given = parser.parse_args(arguments)
    try:
        path = ship(
            given.run,
            given.name,
            dtype=given.dtype,
            limits=given.limit,
            sensitivity=given.sensitivity,
            threshold=given.threshold,
        )
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{path}, {path.with_suffix('.md')}")
    return 0
