"""Interactive figures of a search: triggers against time, their inverse rates, candidates."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go
from scipy.stats import poisson

from ligo_cpc_snn.reports.candidate_figures import candidate_arrays
from ligo_cpc_snn.reports.false_alarm_figures import BANDS, time_unit
from ligo_cpc_snn.reports.live import add_band, add_line, chart, hue, numbers, plain, table_of
from ligo_cpc_snn.reports.search_files import SearchFiles
from ligo_cpc_snn.reports.theme import LIGHT
from ligo_cpc_snn.reports.timeline_figure import stretches
from ligo_cpc_snn.reports.words import YEAR, offset, probability, rate, utc

MOST_SPANS = 400  # shaded; more would be a grey wall
MOST_TRIGGERS = 5000  # drawn: the loudest
FEW_CANDIDATES = 12
COLUMNS = ("UTC", "GPS", "false-alarm rate", "p-value", "nearest event")


def trigger_times(searches: Mapping[str, SearchFiles]) -> go.Figure:
    """Draw the triggers' statistic against time; each tells its time, rate and nearest event.

    Args:
        searches: by label; a legend's entry hides or shows a search.
    """
    figure = chart(x="time (UTC)", y="ranking statistic (logit)", height=470)
    figure.update_xaxes(type="date")
    for number, (label, files) in enumerate(searches.items()):
        alone = len(searches) == 1
        rows = files.loudest_first[:MOST_TRIGGERS]
        events = [row for row in rows if files.event_of(row)]
        others = [row for row in rows if not files.event_of(row)]
        _triggers(figure, files, others, "triggers" if alone else label, hue(number), "circle")
        name = "at catalogue events" if alone else f"{label}, at catalogue events"
        _triggers(figure, files, events, name, hue(2) if alone else hue(number), "star")
        threshold = files.get("threshold")
        if threshold is not None and alone:
            figure.add_hline(
                float(threshold), line={"color": LIGHT.noise, "dash": "dash", "width": 1.2},
                annotation={"text": "threshold", "font": {"size": 11}},
                annotation_position="bottom right",  # no trigger is below it
            )  # fmt: skip
    _shade(figure, next(iter(searches.values())))
    return figure


def _triggers(
    figure: go.Figure, files: SearchFiles, rows: list[int], name: str, colour: str, symbol: str
) -> None:
    if not rows:
        return
    columns = files.triggers
    told = [told_of(files, row) for row in rows]
    figure.add_scatter(
        x=[utc(columns["time"][row]) for row in rows],
        y=numbers(columns["statistic"][rows]),
        customdata=told, meta=table_of(COLUMNS), name=plain(name), mode="markers",
        marker={"color": colour, "symbol": symbol, "size": 12 if symbol == "star" else 7,
                "line": {"color": LIGHT.paper, "width": 0.5}},
        hovertemplate="%{customdata[0]} UTC<br>GPS %{customdata[1]}<br>statistic %{y:.2f}<br>"
                      "false-alarm rate %{customdata[2]}<br>p-value %{customdata[3]}<br>"
                      f"%{{customdata[4]}}<extra>{plain(name)}</extra>",
    )  # fmt: skip


def told_of(files: SearchFiles, row: int) -> list[str]:
    """Return what is told of a trigger, in the order of `COLUMNS`."""
    columns = files.triggers
    gps, away = columns["time"][row], float(columns["nearest_event_offset_seconds"][row])
    event, far = str(columns["nearest_event"][row]), float(columns["far_per_year"][row])
    near = f"{offset(away)} {'after' if away > 0 else 'before'} {event}" if event else "none known"
    return [
        utc(gps), f"{gps:.3f}", plain(far_text(files, row, far)),
        plain(probability(float(columns["p_value"][row]))), plain(near),
    ]  # fmt: skip


def far_text(files: SearchFiles, row: int, far: float) -> str:
    """Return a false-alarm rate in words, with what kind of number it is."""
    if not np.isfinite(far):
        return "none: no background"
    if files.triggers["extrapolated"][row]:
        return f"{rate(far)}, extrapolated"
    bound = files.background_seconds and not files.louder_in_background(row)
    return f"below {rate(far)}" if bound else rate(far)


def _shade(figure: go.Figure, files: SearchFiles) -> None:
    """Shade the time analysed, and offer each stretch of it where there are several."""
    spans = files.get("spans", [])
    analysed = [span for span in spans if span["state"] == "analysed"]
    if not analysed:
        return
    if len(analysed) <= MOST_SPANS:
        figure.update_layout(shapes=[*figure.layout.shapes, *(
            {"type": "rect", "xref": "x", "yref": "paper", "x0": utc(span["start"]),
             "x1": utc(span["end"]), "y0": 0, "y1": 1, "fillcolor": LIGHT.noise, "opacity": 0.12,
             "line": {"width": 0}, "layer": "below"}
            for span in analysed
        )])  # fmt: skip
    groups = stretches(spans)
    if 1 < len(groups) <= 30:
        _choices(figure, groups)


def _choices(figure: go.Figure, groups: list[list[dict[str, Any]]]) -> None:
    """Add a list that zooms into a stretch of time: searches of far events are mostly gaps."""
    buttons = [{"label": "all of the time", "method": "relayout",
                "args": [{"xaxis.autorange": True}]}]  # fmt: skip
    for group in groups:
        start, end = group[0]["start"], max(span["end"] for span in group)
        buttons.append({
            "label": utc(start, 0), "method": "relayout",
            "args": [{"xaxis.range": [utc(start), utc(end)]}],
        })  # fmt: skip
    figure.update_layout(
        margin={"t": 56},
        updatemenus=[{
            "buttons": buttons, "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom",
            "bgcolor": LIGHT.paper, "bordercolor": LIGHT.noise, "font": {"color": LIGHT.ink},
        }],
    )  # fmt: skip


def inverse_far(searches: Mapping[str, SearchFiles]) -> go.Figure:
    """Draw how many triggers have at least an inverse false-alarm rate, and what noise makes.

    Args:
        searches: by label; those without a background are left out. The bands are those of the
            first one's time.
    """
    known = {n: f for n, f in searches.items() if ranked(f).any() and f.background_seconds}
    first = next(iter(known.values()))
    size, unit = time_unit(first.background_seconds)
    all_ifar = np.concatenate([f.triggers["ifar_years"][ranked(f)] for f in known.values()])
    searched, resolved = first.searched_seconds / size, first.background_seconds / size
    low = min(0.5 * float(all_ifar.min()) * YEAR / size, 0.2 * searched)
    high = 4 * max(float(all_ifar.max()) * YEAR / size, resolved, searched)
    figure = chart(x=f"inverse false-alarm rate ({unit})", y="triggers with at least that")
    _noise(figure, np.geomspace(low, high, 160), searched)
    for number, (label, files) in enumerate(known.items()):
        _counted(figure, files, size, "triggers" if len(known) == 1 else label, hue(number))
    figure.add_vrect(
        resolved, high, fillcolor=hue(1), opacity=0.1, line_width=0,
        annotation={"text": "beyond the<br>background", "font": {"size": 11, "color": hue(1)},
                    "name": "wide", "x": float(np.log10(resolved))},
        annotation_position="top left",
    )  # fmt: skip
    figure.add_vline(resolved, line={"color": hue(1), "width": 1.2, "dash": "dot"})
    decades = {"type": "log", "dtick": 1, "tickformat": "~g"}
    figure.update_xaxes(**decades, range=[float(np.log10(low)), float(np.log10(high))])
    top = max(float(np.log10(3 * all_ifar.size)), 1.1)
    return figure.update_yaxes(**decades, range=[-0.5, top])


def ranked(files: SearchFiles) -> np.ndarray:
    """Return which triggers have a false-alarm rate."""
    return np.isfinite(files.triggers["ifar_years"])


def _noise(figure: go.Figure, grid: np.ndarray, searched: float) -> None:
    """Draw the number of triggers that noise makes on average, and what it makes in most cases."""
    mean = searched / grid
    for band, opacity in zip(BANDS, ("28", "33", "42"), strict=True):
        low, high = (np.maximum(edge, 1e-3) for edge in poisson.interval(band, mean))
        add_band(figure, grid, low, high, LIGHT.noise, group="noise", opacity=opacity)
    add_line(
        figure, grid, mean, "noise: expected, and 68, 95, 99.7 %", LIGHT.ink, legendgroup="noise",
        line={"dash": "dash", "width": 1.2},
    )  # fmt: skip


def _counted(figure: go.Figure, files: SearchFiles, size: float, name: str, colour: str) -> None:
    rows = np.flatnonzero(ranked(files))
    rows = rows[np.argsort(files.triggers["ifar_years"][rows])]
    ifar = files.triggers["ifar_years"][rows] * YEAR / size
    shapes = ["circle" if not far_text(files, int(row), 1.0).startswith("below") else
              "triangle-right" for row in rows]  # fmt: skip
    hollow = [f"{shape}-open" if files.triggers["extrapolated"][row] else shape
              for shape, row in zip(shapes, rows, strict=True)]  # fmt: skip
    add_line(
        figure, ifar, np.arange(rows.size, 0, -1), name, colour, mode="lines+markers",
        line={"shape": "vh", "width": 1}, marker={"symbol": hollow, "size": 8},
        customdata=[told_of(files, int(row)) for row in rows], meta=table_of(COLUMNS),
        hover="%{customdata[0]} UTC<br>false-alarm rate %{customdata[2]}<br>%{customdata[4]}",
    )  # fmt: skip


def around_candidates(files: SearchFiles) -> go.Figure:
    """Draw the statistic of each frame around the loudest triggers; the loudest one is shown."""
    figure = chart(x="seconds from the candidate", y="ranking statistic (logit)")
    times = files.triggers["time"]
    for index, time in enumerate(files.candidates["time"][:FEW_CANDIDATES]):
        arrays = candidate_arrays(files.candidates, index)
        if not arrays.get("statistic", np.zeros(0)).size:
            continue
        row = int(np.argmin(np.abs(times - time)))
        name = f"{index + 1}. {files.event_of(row) or utc(time, 0)}"
        add_line(
            figure, arrays["statistic_time"], arrays["statistic"], name, hue(index),
            hover="%{x:+.3f} s: %{y:.2f}", line={"width": 1.3},
            visible="legendonly" if len(figure.data) else True,
        )  # fmt: skip
    if files.get("threshold") is not None:
        figure.add_hline(
            float(files.get("threshold")), line={"color": LIGHT.noise, "dash": "dash"},
            annotation={"text": "threshold", "font": {"size": 11}},
        )  # fmt: skip
    return figure
