"""The numbers, warnings and sentences of a report, worded from the saved files of a run."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ligo_cpc_snn.reports.detection_figures import area_text
from ligo_cpc_snn.reports.event_figures import backgrounds
from ligo_cpc_snn.reports.run_files import RunFiles
from ligo_cpc_snn.reports.words import duration

HEADLINE_SNR = 12.0


@dataclass(frozen=True)
class Card:
    """One headline number: its name, its value and what stands beneath it."""

    name: str
    value: str
    detail: str = ""


def interval(estimate: dict[str, float], percent: bool = False) -> str:
    """Return the interval of an estimate as text."""
    low, high = estimate["low"], estimate["high"]
    if percent:
        return f"{100 * low:.1f}–{100 * high:.1f} %"
    texts = area_text(low), area_text(high)
    if texts[1].startswith(">") and texts[0] != texts[1]:
        return f"{texts[0]} or more"
    return texts[0] if texts[0] == texts[1] else "–".join(texts)


def headline_index(snrs: list[float]) -> int:
    """Return the row of the SNR nearest to the headline's 12."""
    return int(np.argmin(np.abs(np.asarray(snrs) - HEADLINE_SNR)))


def cards(files: RunFiles) -> list[Card]:
    """Return the headline numbers that the files hold."""
    return [*_detection_cards(files), *_event_cards(files), *_run_cards(files)]


def _detection_cards(files: RunFiles) -> list[Card]:
    measured = files.metrics.get("detection")
    if not measured:
        return []
    index = headline_index(measured["snrs"])
    snr, area = measured["snrs"][index], measured["auc"][index]
    found = [Card(f"AUC at SNR {snr:g}", area_text(area["value"]), f"95 %: {interval(area)}")]
    if measured["efficiency"]:
        curve = measured["efficiency"][-1]
        rate, false = curve["rates"][index], curve["threshold"]["nominal_rate"]
        name = f"Found at SNR {snr:g}, FPR {false:g}"
        found.append(Card(name, f"{100 * rate['value']:.1f} %", f"95 %: {interval(rate, True)}"))
        half = curve["snr_50"]
        value = "not reached" if half is None else f"SNR {half:.1f}"
        found.append(Card("Half of the signals found", value, f"at FPR {false:g} per window"))
    return found


def _event_cards(files: RunFiles) -> list[Card]:
    event = files.event
    if not event:
        return []
    offset = event_offset(event)
    tolerance = float(files.setting("event.tolerance_seconds", 0.1))
    verdict = "loudest point" if abs(offset) <= tolerance else "NOT the loudest point"
    crossings = [
        f"{np.count_nonzero(values > float(event['threshold']))} of {values.size} in {name}"
        for name, values, _ in backgrounds(event)
    ]
    detail = f"{offset:+.3f} s from the merger"
    if crossings:
        detail += "; background above threshold: " + ", ".join(crossings)
    return [Card(f"{event['event_name']!s}", verdict, detail)]


def event_offset(event: dict[str, np.ndarray]) -> float:
    """Return the time of the loudest statistic minus the event's, in s."""
    return float(event["gps"][int(np.argmax(event["statistic"]))] - float(event["event_gps"]))


def _run_cards(files: RunFiles) -> list[Card]:
    found = []
    bridge = files.metrics.get("spikes", {}).get("bridge")
    if bridge:
        silent = f"{100 * bridge['silent_fraction']:.0f} % of channels silent"
        found.append(Card("Bridge spikes per channel and frame", f"{bridge['rate']:.3f}", silent))
    run = files.metrics.get("run", {})
    if run.get("seconds") is not None:
        speed = run.get("examples_per_second") or files.history.last("examples_per_second")
        detail = f"{speed:.0f} examples/s" if speed else ""
        found.append(Card("Whole run", duration(run["seconds"]), detail))
    return found


def detection_table(files: RunFiles) -> dict[str, Any] | None:
    """Return header and rows of the table of AUC and true-positive rates per SNR."""
    measured = files.metrics.get("detection")
    if not measured:
        return None
    curves = measured["efficiency"]
    header = ["SNR", "AUC", *(f"FPR {c['threshold']['nominal_rate']:g}" for c in curves)]
    rows = []
    for index, snr in enumerate(measured["snrs"]):
        area = measured["auc"][index]
        cells = [(f"{snr:g}", ""), (area_text(area["value"]), interval(area))]
        for curve in curves:
            rate = curve["rates"][index]
            cells.append((f"{100 * rate['value']:.1f} %", interval(rate, True)))
        rows.append(cells)
    return {"header": header, "rows": rows, "note": _table_note(files, measured)}


def _table_note(files: RunFiles, measured: dict[str, Any]) -> str:
    text = (
        f"{measured['noise_windows']:,} noise windows and {measured['signal_windows']:,} signals "
        "per SNR; small print: 95 % intervals (AUC: DeLong, fractions: Clopper-Pearson at the "
        "threshold set on noise)."
    )
    if any(area["value"] == 1 for area in measured["auc"]):
        text += (
            " Where an AUC is 1, its lower bound is the exact one of as many disjoint pairs as "
            "there are signals, wider than DeLong's."
        )
    window = files.setting("data.window_seconds", None)
    if window and measured["efficiency"]:
        false = measured["efficiency"][-1]["threshold"]["nominal_rate"]
        daily = false * 86400 / float(window)
        text += (
            f" A false-positive rate of {false:g} per window of {float(window):g} s is still about "
            f"{daily:,.0f} false alarms a day; a search needs far fewer."
        )
    return text


def summary(files: RunFiles) -> str:
    """Return the run's result in a sentence or two."""
    measured = files.metrics.get("detection")
    if not measured or not measured["efficiency"]:
        return "This run saved no detection efficiency; what it did save is below."
    index = headline_index(measured["snrs"])
    curve, snr = measured["efficiency"][-1], measured["snrs"][index]
    rate, false = curve["rates"][index], curve["threshold"]["nominal_rate"]
    text = (
        f"Of simulated binary-black-hole signals at network SNR {snr:g}, the network finds "
        f"{100 * rate['value']:.1f} % while calling {100 * false:g} % of noise windows a signal."
    )
    if files.event:
        offset = event_offset(files.event)
        tolerance = float(files.setting("event.tolerance_seconds", 0.1))
        place = "is" if abs(offset) <= tolerance else "is not"
        text += f" In recorded strain, {files.event['event_name']!s} {place} the loudest point."
    return text
