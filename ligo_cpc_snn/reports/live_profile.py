"""Interactive flame charts of a profile: zoom into a stage, read its time and its share."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ligo_cpc_snn.reports.live import add_line, chart, hue, numbers, plain, table_of
from ligo_cpc_snn.reports.profile_figures import Bar, event_bars, stage_bars
from ligo_cpc_snn.reports.theme import LIGHT

ROW = 24  # px
MOST_BARS = 6000  # the longest; shorter ones are narrower than a pixel


def stages_flame(record: Mapping[str, Any]) -> go.Figure:
    """Draw the stages of a run by thread and depth, with memory over time below them.

    Args:
        record: of `profile.json`.
    """
    bars, rows = stage_bars(record["spans"])
    flame, memory = ROW * rows + 40, 170
    figure = make_subplots(
        2, 1, shared_xaxes=True, vertical_spacing=60 / (flame + memory),
        row_heights=[flame, memory], figure=chart(x="", y="", height=flame + memory + 140),
    )  # fmt: skip
    end = max(bar.begin + bar.seconds for bar in bars)
    _bars(figure, bars, "s", end)
    samples = np.array(record["memory"].get("samples") or [[0.0, 0, 0], [end, 0, 0]], dtype=float)
    for column, name in ((1, "process"), (2, "device")):
        if samples[:, column].any() or column == 1:
            add_line(
                figure, samples[:, 0], samples[:, column] / 1e9, f"memory, {name}",
                hue(column - 1), row=2, line={"width": 1.5}, hover="%{x:.2f} s: %{y:.3f} GB",
            )  # fmt: skip
    figure.update_xaxes(title_text="time (s)", range=[0, end], row=2, col=1)
    figure.update_yaxes(title_text="memory (GB)", rangemode="tozero", row=2, col=1)
    return figure


def call_flame(trace: Mapping[str, Any]) -> go.Figure:
    """Draw the events of one traced call by line and depth."""
    bars, rows = event_bars(trace["events"])
    scaled = [bar._replace(begin=1e3 * bar.begin, seconds=1e3 * bar.seconds) for bar in bars]
    figure = chart(x="time (ms)", y="", height=ROW * rows + 150)
    _bars(figure, scaled, "ms", 1e3 * float(trace["seconds"]))
    return figure.update_xaxes(range=[0, 1e3 * float(trace["seconds"])])


def _bars(figure: go.Figure, bars: Sequence[Bar], unit: str, whole: float) -> None:
    """Add bars, one trace for all: a family that takes long has a colour of its own."""
    bars = sorted(bars, key=lambda bar: -bar.seconds)[:MOST_BARS]
    taken: dict[str, float] = {}
    for bar in bars:
        if bar.family:
            taken[bar.family] = taken.get(bar.family, 0.0) + bar.seconds
    ranked = sorted(taken, key=lambda family: -taken[family])
    hues = dict(zip(ranked, LIGHT.hues, strict=False))
    figure.add_bar(
        x=numbers(bar.seconds for bar in bars), base=numbers(bar.begin for bar in bars),
        y=[bar.row for bar in bars], orientation="h", width=0.9, showlegend=False,
        marker={"color": [hues.get(bar.family, LIGHT.noise) for bar in bars],
                "line": {"color": LIGHT.paper, "width": 0.5}},
        text=[plain(bar.name) for bar in bars], textposition="inside", insidetextanchor="middle",
        textangle=0, constraintext="inside", textfont={"color": LIGHT.paper, "size": 10},
        customdata=[[plain(bar.name), *numbers([bar.begin, 100 * bar.seconds / whole], 4)]
                    for bar in bars],
        meta=table_of(["name", f"begin ({unit})", "% of the whole"]),
        hovertemplate=f"%{{customdata[0]}}<br>from %{{customdata[1]}} {unit}, %{{x:.4g}} {unit}, "
                      "%{customdata[2]:.3g} % of the whole<extra></extra>",
    )  # fmt: skip
    figure.update_layout(uniformtext={"minsize": 9, "mode": "hide"}, barmode="overlay")
    rows = max((bar.row for bar in bars), default=0)
    figure.update_yaxes(
        range=[rows + 0.6, -0.6], showticklabels=False, ticks="", showgrid=False, fixedrange=True,
        **({"row": 1, "col": 1} if "xaxis2" in figure.layout else {}),
    )  # fmt: skip
