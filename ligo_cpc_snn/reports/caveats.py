"""What a reader must know before trusting a run's numbers."""

import numpy as np

from ligo_cpc_snn.reports.headline import event_offset
from ligo_cpc_snn.reports.panels import readable
from ligo_cpc_snn.reports.run_files import RunFiles


def warnings(files: RunFiles) -> list[str]:
    """Return what a reader must know before trusting the numbers."""
    return [
        *(str(text) for text in files.metrics.get("warnings", [])),
        *_spike_warnings(files),
        *_history_warnings(files),
        *files.metrics.get("detection", {}).get("refused", {}).values(),
        *_event_warnings(files),
    ]


def _spike_warnings(files: RunFiles) -> list[str]:
    found = []
    for name, spikes in files.metrics.get("spikes", {}).items():
        layer = readable(name)
        if spikes.get("fault"):
            found.append(
                f"{layer} is {spikes['fault']}: {100 * spikes['rate']:.2g} % of its neurons fire "
                "per frame"
            )
        elif spikes.get("silent_fraction", 0) > 0.5:
            found.append(
                f"{layer}: {100 * spikes['silent_fraction']:.0f} % of its neurons are silent"
            )
        elif spikes.get("saturated_fraction", 0) > 0.5:
            part = 100 * spikes["saturated_fraction"]
            found.append(f"{layer}: {part:.0f} % of its neurons fire almost always")
    return found


def _history_warnings(files: RunFiles) -> list[str]:
    found = [f"{name} was not finite at step {step}" for name, step in files.history.non_finite()]
    if files.history.broken_lines:
        found.append(
            f"metrics.jsonl: {files.history.broken_lines} unreadable line(s) were left out, as a "
            "kill during writing leaves them"
        )
    return found


def _event_warnings(files: RunFiles) -> list[str]:
    event = files.event
    if not event:
        return []
    offset, name = event_offset(event), f"{event['event_name']!s}"
    tolerance = float(files.setting("event.tolerance_seconds", 0.1))
    found = []
    if abs(offset) > tolerance:
        found.append(
            f"{name} is not the loudest point of the span: that lies {offset:+.3f} s from the "
            f"merger (tolerance {tolerance:g} s)"
        )
    near = np.abs(event["gps"] - float(event["event_gps"])) <= tolerance
    threshold = float(event["threshold"])
    if near.any() and event["statistic"][near].max() <= threshold:
        peak = event["statistic"][near].max()
        found.append(f"{name} stays below the threshold: {peak:.2f} against {threshold:.2f}")
    zero_lag = np.ravel(event.get("background_zero_lag", np.array([])))
    above = int(np.count_nonzero(zero_lag >= event["statistic"][near].max())) if near.any() else 0
    if above > 1:
        found.append(f"held-out noise in true time is as loud as {name} in {above} seconds")
    return found
