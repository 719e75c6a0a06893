"""Folders read for a comparison: their labels, settings, numbers and overlaid figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ligo_cpc_snn.reports import compared_metrics, live_search, live_sensitivity, live_training
from ligo_cpc_snn.reports import panels as known_panels
from ligo_cpc_snn.reports.compared_metrics import Numbers
from ligo_cpc_snn.reports.figures import Plot
from ligo_cpc_snn.reports.folders import PROFILE, RUN, SEARCH, Kind, ReportError, kind_of
from ligo_cpc_snn.reports.live import chart, hue
from ligo_cpc_snn.reports.live_detection import add_efficiency
from ligo_cpc_snn.reports.run_files import RunFiles, read_run
from ligo_cpc_snn.reports.search_files import SearchFiles, read_search
from ligo_cpc_snn.reports.sensitivity_files import SensitivityFiles, read_sensitivity

CURVES = (
    ("progress", "Validation during training", (known_panels.PROGRESS, known_panels.SNR)),
    ("cpc", "Contrastive predictive coding", (known_panels.ACCURACY, known_panels.SPREAD)),
    ("rates", "Spike rates during training", (known_panels.RATES,)),
    ("resources", "Speed and memory", (known_panels.THROUGHPUT, known_panels.MEMORY)),
)  # fmt: skip


@dataclass(frozen=True)
class Compared:
    """What a comparison shows of several folders of one kind."""

    kind: Kind
    labels: list[str]  # of the folders
    settings: Sequence[Mapping[str, Any]]
    columns: list[str]  # of the numbers: an evaluation has one for each of its searches
    numbers: list[Numbers]
    plots: list[Plot]
    missing: list[str]
    caveats: list[str]


def read_all(folders: Sequence[Path]) -> Compared:
    """Read folders of one kind.

    Raises:
        ReportError: a folder is none of ours, they are of different kinds, or are profiles.
    """
    kinds = [kind_of(folder) for folder in folders]
    if len({kind.name for kind in kinds}) > 1:
        told = ", ".join(f"{f} is a {k.name}" for f, k in zip(folders, kinds, strict=True))
        raise ReportError(f"{told}: give folders of one kind, different kinds have no common table")
    if kinds[0] is PROFILE:
        raise ReportError(
            f"{folders[0]} is a profile, runs, searches and evaluations can be compared: "
            "give one profile at a time"
        )
    labels = labels_of(folders)
    if kinds[0] is RUN:
        return _runs(labels, [read_run(folder) for folder in folders])
    if kinds[0] is SEARCH:
        return _searches(labels, [read_search(folder) for folder in folders])
    return _evaluations(labels, [read_sensitivity(folder) for folder in folders])


def labels_of(folders: Sequence[Path]) -> list[str]:
    """Return the shortest ends of the folders' paths that are different for each."""
    parts = [folder.resolve().parts for folder in folders]
    if len(set(parts)) < len(parts):
        twice = next(f for f, p in zip(folders, parts, strict=True) if parts.count(p) > 1)
        raise ReportError(f"{twice} is given twice, expected different folders: give each once")
    length = next(n for n in range(1, 1 + max(map(len, parts)))
                  if len({p[-n:] for p in parts}) == len(parts))  # fmt: skip
    return ["/".join(p[-length:]) for p in parts]


def _missing(labels: Sequence[str], found: Sequence[RunFiles | SearchFiles]) -> list[str]:
    return [
        f"{label}: {text}"
        for label, files in zip(labels, found, strict=True)
        for text in files.missing
    ]


def _runs(labels: list[str], found: list[RunFiles]) -> Compared:
    numbers = [compared_metrics.of_run(files) for files in found]
    # Noise and signals of an evaluation are drawn from the data's settings and the seed.
    data = {str(files.setting("data", None)) for files in found}
    caveats = []
    if len(data) > 1:
        caveats.append(
            "The runs were trained and measured on data with different settings: their numbers "
            "differ by that too."
        )
    settings = [files.config for files in found]
    plots = _run_plots(dict(zip(labels, found, strict=True)))
    missing = _missing(labels, found)
    return Compared(RUN, labels, settings, labels, numbers, plots, missing, caveats)


def _run_plots(runs: dict[str, RunFiles]) -> list[Plot]:
    plots = []
    if any(files.metrics.get("detection", {}).get("efficiency") for files in runs.values()):
        plots.append(Plot(
            "efficiency", "Curves", "Signals found, by their loudness",
            "At the lowest false-positive rate of each run. Bands are 95 % intervals of the number "
            "of signals found.",
            None, lambda: _efficiency(runs),
        ))  # fmt: skip
    logged = {label: files.history for label, files in runs.items() if files.history}
    losses = {
        panel.pattern: panel
        for history in logged.values()
        for panel in live_training.loss_panels(history)
    }
    if losses:
        plots.append(Plot(
            "losses", "Curves", "Losses",
            "A colour for each run: thin every logged value, thick the running mean, with points "
            "validation. A loss is comparable only where the same is weighted into it.",
            None, lambda: live_training.training_curves(logged, list(losses.values())),
        ))  # fmt: skip
    for name, title, wanted in CURVES:
        shown = [p for p in wanted if any(known_panels.available([p], h) for h in logged.values())]
        if shown:
            draw = partial(live_training.training_curves, logged, shown)
            caption = "A colour for each run; with points: validation."
            plots.append(Plot(name, "Curves", title, caption, None, draw))
    return plots


def _efficiency(runs: dict[str, RunFiles]) -> Any:
    figure = chart(
        x="optimal network SNR", y="signals found", yaxis={"tickformat": ".0%", "range": [0, 1.02]}
    )
    for number, (label, files) in enumerate(runs.items()):
        measured = files.metrics.get("detection", {})
        if measured.get("efficiency"):
            curve = measured["efficiency"][-1]
            name = f"{label}, FPR {curve['threshold']['nominal_rate']:g}"
            add_efficiency(figure, measured["snrs"], curve, hue(number), name)
    return figure


def _searches(labels: list[str], found: list[SearchFiles]) -> Compared:
    by_label = dict(zip(labels, found, strict=True))
    spans = {str(files.get("spans", [])) for files in found}
    caveats = []
    if len(spans) > 1:
        caveats.append(
            "The searches analysed different times: counts of triggers and p-values are of each "
            "one's own time."
        )
    plots = []
    if any(files.triggers["time"].size for files in found):
        plots.append(Plot(
            "trigger_times", "Curves", "The statistic against time",
            "Statistics of different detectors are on different scales: compare false-alarm "
            "rates. Shaded: the time analysed by the first search.",
            None, lambda: live_search.trigger_times(by_label),
        ))  # fmt: skip
    if any(live_search.ranked(files).any() and files.background_seconds for files in found):
        plots.append(Plot(
            "inverse_far", "Curves", "Triggers against what noise makes",
            "Triggers with at least the inverse false-alarm rate below; bands: what noise makes "
            "in the time of the first search.",
            None, lambda: live_search.inverse_far(by_label),
        ))  # fmt: skip
    settings = [files.get("settings", {}) for files in found]
    numbers = [compared_metrics.of_search(files) for files in found]
    missing = _missing(labels, found)
    return Compared(SEARCH, labels, settings, labels, numbers, plots, missing, caveats)


def _evaluations(labels: list[str], found: list[SensitivityFiles]) -> Compared:
    measured = [
        (f"{label}: {search.name}" if len(labels) > 1 else search.name, search)
        for label, files in zip(labels, found, strict=True)
        for search in files.searches
    ]
    published = {files.summary.get("published") for files in found}
    strain = {str(files.summary.get("settings_hash")) for files in found}
    caveats = [f"{n}: {t}" for n, f in zip(labels, found, strict=True)
               for t in f.summary.get("caveats", [])]  # fmt: skip
    if len(strain) > 1:
        caveats.insert(0, (
            "The measurements are of different strain and injections (their settings differ): "
            "distances differ by chance and by population too."
        ))  # fmt: skip
    known = next(iter(published)) if len(published) == 1 else None
    plots = [Plot(
        "sensitive_distance", "Curves", "Sensitive distance against false alarms",
        "The band is one standard deviation, of the finite number of injections; the dot is the "
        "lowest rate that the background resolves. A click in the legend hides a search.",
        None, lambda: live_sensitivity.sensitive_distance(measured, known),
    )] if measured else []  # fmt: skip
    return Compared(
        kind_of(found[0].folder), labels, [files.summary["config"] for files in found],
        [label for label, _ in measured], [compared_metrics.of_score(s) for _, s in measured],
        plots, [], caveats,
    )  # fmt: skip
