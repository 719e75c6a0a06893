"""Interactive curves over training steps, of one run or of several on top of each other."""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ligo_cpc_snn.reports.history import History
from ligo_cpc_snn.reports.live import add_line, chart, hue, plain
from ligo_cpc_snn.reports.panels import RATES, Panel, loss_names, readable
from ligo_cpc_snn.reports.theme import LIGHT
from ligo_cpc_snn.reports.training_figures import phase_parts, running_mean, spans_decades

PANEL = 300  # px of height for each
MANY_DECADES = 1e3  # from which on an axis has no numbers between powers of ten
DASHES = ("solid", "dash", "dot", "dashdot")


def loss_panels(history: History) -> list[Panel]:
    """Return a panel for each loss logged, the total first."""
    return [
        Panel(
            "Loss" if name == "loss" else f"{readable(name)[:1].upper()}{readable(name)[1:]} loss",
            f"^{name}$", "nats", log=True,
        )
        for name in loss_names(history)
    ]  # fmt: skip


def training_curves(runs: Mapping[str, History], panels: Sequence[Panel]) -> go.Figure:
    """Draw panels of logged numbers against the step, one below the other.

    Args:
        runs: what each run logged, by its label. A single run has a colour for each curve,
            several have a colour for each run.
        panels: what is drawn together; a run that did not log a number has no curve.
    """
    rows = len(panels)
    figure = make_subplots(
        rows, 1, shared_xaxes=True, vertical_spacing=0.14 / rows,
        subplot_titles=[plain(panel.title) for panel in panels],
        figure=chart(x="", y="", height=130 + PANEL * rows),
    )  # fmt: skip
    figure.update_annotations(font={"size": 13, "color": LIGHT.ink}, x=0, xanchor="left")
    for row, panel in enumerate(panels, start=1):
        drawn = _draw_panel(figure, runs, panel, row, several=len(runs) > 1)
        figure.update_yaxes(title_text=panel.label, row=row, **_axis(panel, drawn))
    if len(runs) == 1:
        _shade_phases(figure, next(iter(runs.values())))
    figure.update_xaxes(title_text="step (updates applied)", row=rows)
    return figure.update_layout(hovermode="closest")


def _axis(panel: Panel, drawn: list[float]) -> dict[str, object]:
    if panel.limits:
        return {"range": list(panel.limits)}
    if panel.log and spans_decades(drawn):
        positive = [value for value in drawn if value > 0]
        if max(positive) > MANY_DECADES * min(positive):
            return {"type": "log", "dtick": 1}
        return {"type": "log", "tickformat": "~g", "dtick": "D2"}
    return {"rangemode": "tozero"}


def _draw_panel(
    figure: go.Figure, runs: Mapping[str, History], panel: Panel, row: int, *, several: bool
) -> list[float]:
    """Draw one panel of all runs; return every value in it."""
    everything: list[float] = []
    for number, (label, history) in enumerate(runs.items()):
        for index, name in enumerate(panel.names(history)):
            words = readable(name)
            group = label if several else words
            alone = len(panel.names(history)) == 1 and not several  # its title names it
            _draw_curve(
                figure, history, name, row, group=group,
                words=f"{label}: {words}" if several else words,
                colour=hue(number if several else index),
                dash=DASHES[index % len(DASHES)] if several else _dash(name, panel, history),
                smooth=panel.smooth, legend=not alone,
            )  # fmt: skip
            everything += [*history.series(name, "train")[1]]
            everything += [*history.series(name, "validation")[1]]
    return everything


def _dash(name: str, panel: Panel, history: History) -> str:
    """Return dots for a total among its parts, the largest of which is all but equal to it."""
    return "dot" if name.endswith("/total") and len(panel.names(history)) > 1 else "solid"


def _draw_curve(
    figure: go.Figure, history: History, name: str, row: int,
    *, group: str, words: str, colour: str, dash: str, smooth: bool, legend: bool,
) -> None:  # fmt: skip
    """Draw training (thin as logged, thick its running mean) and validation of one number."""
    named = {str(t.legendgroup) for t in figure.data if t.showlegend is not False}
    hover = "step %{x}: %{y:.4g}"
    steps, values = with_gaps(history, name, "train")
    first = legend and group not in named
    style = {"dash": dash, "color": colour}
    points = 2 * (int(np.count_nonzero(np.isfinite(values))) // 50) + 1
    if smooth and points > 1:
        add_line(figure, steps, values, words, colour, row=row, line={"width": 1}, opacity=0.35,
                 legendgroup=group, showlegend=False, hoverinfo="skip", hovertemplate=None,
                 meta={"csv": True})  # fmt: skip
        values = _smoothed(values, points)
        words += ", running mean"
    if values.size:
        mode = "lines+markers" if values.size < 4 else "lines"
        add_line(figure, steps, values, words, colour, hover=hover, row=row, line=style,
                 legendgroup=group, showlegend=first, mode=mode)  # fmt: skip
        figure.data[-1].name = plain(group)
        named.add(group)
    steps, values = with_gaps(history, name, "validation")
    if values.size:
        add_line(figure, steps, values, f"{words.split(',')[0]}, validation", colour, hover=hover,
                 row=row, line={"dash": "dash", "width": 1.3}, mode="lines+markers",
                 legendgroup=group, showlegend=legend and group not in named)  # fmt: skip


def with_gaps(history: History, name: str, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Return (steps, values) with a NaN between phases: no curve runs on into another phase."""
    steps, values = history.series(name, split)
    cuts = [part[0] for part in phase_parts(steps, history)[1:]]
    return (
        np.insert(steps.astype(float), cuts, steps[cuts].astype(float) - 0.5),
        np.insert(values, cuts, np.nan),
    )


def _smoothed(values: np.ndarray, points: int) -> np.ndarray:
    """Return the running mean within each stretch of finite values."""
    smooth = values.copy()
    ends = np.flatnonzero(~np.isfinite(values))
    for part in np.split(np.arange(values.size), ends):
        part = part[np.isfinite(values[part])]
        if part.size:
            width = min(points, 2 * ((part.size - 1) // 2) + 1)
            smooth[part] = running_mean(values[part], width)
    return smooth


def spike_rates(history: History, silent_below: float, saturated_above: float) -> go.Figure:
    """Draw spike rates against the step, the silent and the saturated region shaded.

    Args:
        history: logged values.
        silent_below: spikes per neuron and frame under which a layer is silent.
        saturated_above: the same, over which it is saturated.
    """
    figure = training_curves({"run": history}, [RATES])
    values = np.concatenate([history.series(n, "train")[1] for n in RATES.names(history)])
    lowest = min([silent_below, *values[values > 0]]) / 3
    for low, high, word, side, edge in (
        (lowest, silent_below, "silent", "top left", silent_below),
        (saturated_above, 1.0, "saturated", "bottom left", saturated_above),
    ):
        figure.add_hrect(
            low, high, fillcolor=hue(1), opacity=0.13, line_width=0, annotation_position=side,
            annotation={"text": word, "font": {"size": 11}, "y": float(np.log10(edge))},
        )  # fmt: skip
    ends = [float(np.log10(lowest)), 0.0]
    return figure.update_yaxes(type="log", range=ends, tickformat="~g", dtick=1)


def _shade_phases(figure: go.Figure, history: History) -> None:
    """Shade every other phase and name those that have room."""
    phases = history.phases()
    last_step = max(phases[-1][2], 1) if phases else 1
    for index, (phase, first, last) in enumerate(phases):
        if index % 2:
            figure.add_vrect(first, last, fillcolor=LIGHT.noise, opacity=0.12, line_width=0)
        if (last - first) / last_step > 0.012 * len(phase):
            figure.add_annotation(
                x=(first + last) / 2, y=1, xref="x", yref="paper", yanchor="bottom",
                text=plain(phase), showarrow=False, font={"size": 11}, name="wide",
            )  # fmt: skip
