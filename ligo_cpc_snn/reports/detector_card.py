"""The card of a trained detector on a search's page: panels of facts, its limits, its config."""

from collections.abc import Mapping
from typing import Any

import yaml

from ligo_cpc_snn.reports.search_tables import facts

Rows = list[tuple[str, str]]

APART = ("data", "numbers", "machine", "versions", "limits", "config")  # shown in their own way


def card_panels(detector: Mapping[str, Any]) -> list[tuple[str, Rows]]:
    """Return title and rows of each panel, of what search.json says of a detector."""
    own = {name: value for name, value in detector.items() if name != "card"}
    card: Mapping[str, Any] = detector.get("card") or {}
    numbers: Mapping[str, Any] = card.get("numbers") or {}
    rest = {name: value for name, value in card.items() if name not in APART}
    made = {name: value for name, value in rest.items() if not isinstance(value, Mapping)}
    panels = [
        ("What it is", facts(own)),
        ("What it was trained on", facts(card.get("data") or {})),
        ("What it finds", _found(numbers)),
        ("How it was made", facts(made) + facts(card.get("machine") or {})),
        ("Made with", facts(card.get("versions") or {})),
    ]
    for name, value in rest.items():
        if isinstance(value, Mapping):
            panels.append((name.replace("_", " ").capitalize(), facts(value)))
    return [(title, rows) for title, rows in panels if rows]


def card_limits(detector: Mapping[str, Any]) -> list[str]:
    """Return what the card says that the detector cannot do, as sentences."""
    limits = (detector.get("card") or {}).get("limits") or []
    if isinstance(limits, Mapping):
        return [f"{name}: {value}" for name, value in limits.items()]
    return [limits] if isinstance(limits, str) else [str(limit) for limit in limits]


def card_config(detector: Mapping[str, Any]) -> str:
    """Return the settings that the detector was trained with, as YAML."""
    config = (detector.get("card") or {}).get("config")
    return str(yaml.safe_dump(config, sort_keys=False)) if config else ""


def _found(numbers: Mapping[str, Any]) -> Rows:
    """Return the numbers, what would be a table of its own in a row or two."""
    plain = {n: v for n, v in numbers.items() if n not in ("detection", "sensitivity", "run")}
    return [
        *_distances(numbers.get("sensitivity") or {}),
        *_efficiency(numbers.get("detection") or {}),
        *facts(plain),
    ]


def _distances(sensitivity: Mapping[str, Any]) -> Rows:
    return [
        (
            f"distance at {rate['per_month']:g} false alarms a month",
            f"{rate['distance']:.0f} ± {rate['distance_error']:.0f} Mpc",
        )
        for rate in sensitivity.get("rates", [])
        if rate.get("distance")
    ]


def _efficiency(detection: Mapping[str, Any]) -> Rows:
    """Return the fraction of windows found by SNR, at the lowest false-positive rate."""
    curves = detection.get("efficiency") or []
    if not curves:
        return []
    false = curves[-1]["threshold"]["nominal_rate"]
    told = [
        f"{100 * rate['value']:.0f} % at SNR {snr:g}"
        for snr, rate in zip(detection["snrs"], curves[-1]["rates"], strict=True)
    ]
    return [(f"windows found, false-positive rate {false:g}", ", ".join(told))]
