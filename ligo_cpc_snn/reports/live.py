"""Interactive figures: Plotly figures in the colours of the light theme, made from saved numbers.

A page holds each figure once. Its script gives the dark theme's colours to the same figure, by
the table of `palette`, so that a switch of theme loses neither zoom nor what was hidden.
"""

import base64
import gzip
import html
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import plotly.graph_objects as go
from matplotlib.colors import to_hex
from plotly.offline import get_plotlyjs

from ligo_cpc_snn.reports.theme import DARK, LIGHT

HEIGHT = 430  # px
DIGITS = 6  # of a number drawn: finer than any pixel
MOST_CURVES = 12  # of an ordered quantity, each with a colour of its own
FAINT = "38"  # opacity of a band, the end of #rrggbbaa
Annotation = Mapping[str, Any]


def hue(number: int) -> str:
    """Return the colour of a curve by its number, of the light theme."""
    return LIGHT.hues[number % len(LIGHT.hues)]


def ramp(count: int) -> list[str]:
    """Return colours of an ordered quantity."""
    return [to_hex(colour) for colour in LIGHT.ramp_colours(count)]


def chart(*, x: str, y: str, height: int = HEIGHT, **layout: Any) -> go.Figure:
    """Return an empty figure with titled axes; `layout` holds Plotly's own settings."""
    axis = {
        "gridcolor": LIGHT.faint, "linecolor": LIGHT.noise, "zerolinecolor": LIGHT.faint,
        "automargin": True, "ticks": "outside", "tickcolor": LIGHT.noise, "exponentformat": "power",
    }  # fmt: skip
    figure = go.Figure(
        layout={
            "template": {"layout": {"xaxis": axis, "yaxis": axis}},
            "height": height,
            "margin": {"l": 60, "r": 16, "t": 44, "b": 48},
            "paper_bgcolor": LIGHT.paper,
            "plot_bgcolor": LIGHT.paper,
            "font": {"color": LIGHT.ink, "size": 13, "family": "system-ui, sans-serif"},
            "hoverlabel": {"bgcolor": LIGHT.paper, "font": {"color": LIGHT.ink}},
            "legend": {"orientation": "h", "x": 0,
                       "yref": "container", "y": 0, "yanchor": "bottom"},
            "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": LIGHT.noise,
                        "activecolor": LIGHT.hues[0]},
            "showlegend": True,
            "hovermode": "closest",
            "uirevision": "kept",
            "xaxis": {"title": {"text": x}},
            "yaxis": {"title": {"text": y}},
        }
    )  # fmt: skip
    return figure.update_layout(**layout)


def numbers(values: Iterable[float], digits: int = DIGITS) -> list[float | None]:
    """Return finite numbers rounded to so many digits, and None for the others."""
    return [float(f"{v:.{digits}g}") if np.isfinite(v) else None for v in map(float, values)]


def plain(text: object) -> str:
    """Return text that Plotly, which reads some HTML, shows as it is."""
    return html.escape(str(text), quote=False)


def add_line(
    figure: go.Figure, x: Iterable[float], y: Iterable[float], name: str, colour: str,
    *, hover: str = "%{x:.4g}: %{y:.4g}", step: bool = False, row: int | None = None,
    line: Mapping[str, Any] | None = None, **more: Any,
) -> None:  # fmt: skip
    """Add a curve; `step` holds each value up to the next point."""
    shape = {"shape": "hv"} if step else {}
    where = {} if row is None else {"row": row, "col": 1}
    settings = {
        "mode": "lines",
        "line": {"color": colour, "width": 2, **shape, **(line or {})},
        "legendgroup": name,
        "hovertemplate": f"{plain(name)}<br>{hover}<extra></extra>",
        **more,
    }
    figure.add_scatter(x=numbers(x), y=numbers(y), name=plain(name), **settings, **where)


def add_band(
    figure: go.Figure, x: np.ndarray, low: np.ndarray, high: np.ndarray, colour: str,
    *, group: str, step: bool = False, opacity: str = FAINT, **more: Any,
) -> None:  # fmt: skip
    """Fill between two curves; the band is hidden with the curve of its group."""
    if step:
        x, low, high = np.repeat(x, 2)[1:], np.repeat(low, 2)[:-1], np.repeat(high, 2)[:-1]
    figure.add_scatter(
        x=numbers(np.concatenate([x, x[::-1]])), y=numbers(np.concatenate([high, low[::-1]])),
        fill="toself", fillcolor=colour + opacity, mode="lines", line={"width": 0, "color": colour},
        hoverinfo="skip", legendgroup=group, showlegend=False, **more,
    )  # fmt: skip


def table_of(columns: Sequence[str]) -> dict[str, Any]:
    """Return a trace's `meta` that names the columns of its `customdata` in the CSV file."""
    return {"columns": list(columns)}


def as_json(figure: go.Figure) -> dict[str, Any]:
    """Return data and layout of a figure; what is no number is null."""
    made: dict[str, Any] = json.loads(figure.to_json())
    return {"data": made["data"], "layout": made["layout"]}


@cache
def palette() -> dict[str, str]:
    """Return the dark theme's colour for each colour of the light one."""
    names = ("paper", "ink", "faint", "noise")
    pairs = {getattr(LIGHT, name): getattr(DARK, name) for name in names}
    pairs |= dict(zip(LIGHT.hues, DARK.hues, strict=True))
    for count in range(1, MOST_CURVES + 1):
        dark = [to_hex(colour) for colour in DARK.ramp_colours(count)]
        pairs |= dict(zip(ramp(count), dark, strict=True))
    return pairs


@cache
def plotly_gzip() -> str:
    """Return plotly.js compressed, as base64: a page is 2 MB with it, else 5."""
    return base64.b64encode(gzip.compress(get_plotlyjs().encode("utf-8"), 9, mtime=0)).decode()
