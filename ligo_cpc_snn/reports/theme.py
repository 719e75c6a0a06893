"""Look of the figures: a light and a dark theme, colour-blind safe, without pyplot's state."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec

import matplotlib
import numpy as np
from cycler import cycler
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.projections import get_projection_class, register_projection
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter
from PIL import Image

PIXELS_PER_INCH = 130
P = ParamSpec("P")


@dataclass(frozen=True)
class Theme:
    """Colours of one theme; hues are those of Okabe & Ito 2008, darkened or lightened."""

    name: str
    paper: str
    ink: str
    faint: str  # grid, secondary lines
    noise: str  # fill of noise
    hues: tuple[str, ...]
    ramp: tuple[float, float]  # part of viridis that stands out from the paper
    diverging: str  # colour map of signed values

    def ramp_colours(self, count: int) -> list[tuple[float, float, float, float]]:
        """Return `count` ordered colours, for ordered quantities such as SNR."""
        positions = np.linspace(*self.ramp, max(count, 1))
        return [tuple(colour) for colour in matplotlib.colormaps["viridis"](positions)]

    def settings(self) -> dict[Any, Any]:
        """Return Matplotlib's settings for this theme."""
        return {
            "figure.facecolor": self.paper,
            "savefig.facecolor": self.paper,
            "axes.facecolor": self.paper,
            "axes.edgecolor": self.ink,
            "axes.labelcolor": self.ink,
            "axes.titlecolor": self.ink,
            "text.color": self.ink,
            "xtick.color": self.ink,
            "ytick.color": self.ink,
            "grid.color": self.faint,
            "grid.linewidth": 0.5,
            "axes.grid": True,
            "axes.axisbelow": True,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlesize": 10.5,
            "axes.titlelocation": "left",
            "axes.titleweight": "bold",
            "axes.labelsize": 9.5,
            "xtick.labelsize": 8.5,
            "ytick.labelsize": 8.5,
            "legend.fontsize": 8.5,
            "legend.frameon": False,
            "font.family": "DejaVu Sans",  # the one that Matplotlib brings along
            "lines.linewidth": 1.6,
            "axes.prop_cycle": cycler(color=self.hues),
            "axes.formatter.useoffset": False,
        }


LIGHT = Theme(
    name="light",
    paper="#ffffff",
    ink="#22272e",
    faint="#d9dee4",
    noise="#9aa4af",
    hues=("#0072b2", "#d55e00", "#009e73", "#b3589a", "#b88600", "#3f9bd1", "#5b6570"),
    ramp=(0.0, 0.82),
    diverging="RdBu_r",
)
DARK = Theme(
    name="dark",
    paper="#161b22",
    ink="#d6dde5",
    faint="#323a44",
    noise="#6b7682",
    hues=("#56b4e9", "#f28e4b", "#2bc79a", "#dd93c0", "#e6c229", "#8ecbf0", "#a6b0bb"),
    ramp=(0.3, 1.0),
    diverging="berlin",
)


def themed(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Run a figure function under the settings of its keyword argument `theme`."""

    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure:
        theme = kwargs.get("theme", LIGHT)
        assert isinstance(theme, Theme)
        with _plain_matplotlib():
            matplotlib.rcParams.update(theme.settings())
            return draw(*args, **kwargs)

    return drawn


@contextmanager
def _plain_matplotlib() -> Iterator[None]:
    """Draw as if gwpy were not imported, which has settings and axes of its own for all."""
    axes = get_projection_class("rectilinear")
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        register_projection(Axes)
        try:
            yield
        finally:
            register_projection(axes)


def adopt(theme: Theme = LIGHT) -> None:
    """Give all figures of this process the theme's look, as in a notebook.

    Importing gwpy sets a look of its own for all: call this again after it.
    """
    matplotlib.rcdefaults()
    register_projection(Axes)
    matplotlib.rcParams.update(theme.settings() | {"figure.dpi": 110})


def blank(width: float, height: float) -> Figure:
    """Return an empty figure of a size in inches that lays itself out."""
    return Figure(figsize=(width, height), layout="constrained")


def note(axes: Axes, text: str, *, x: float = 0.98, y: float = 0.04) -> None:
    """Write a small remark inside a panel, in fractions of its width and height."""
    side = "right" if x > 0.5 else "left"
    height = "bottom" if y < 0.5 else "top"
    axes.text(x, y, text, transform=axes.transAxes, ha=side, va=height, fontsize=8, alpha=0.8)


def frequency_ticks(axis: Axis, low: float, high: float) -> None:
    """Write plain numbers on a logarithmic axis of frequencies in Hz."""
    shown = [f for f in (10, 20, 50, 100, 200, 500, 1000, 2000, 5000) if low <= f <= high]
    axis.set_major_locator(FixedLocator(shown))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def envelope(
    values: Float[np.ndarray, " n"], columns: int = 1500
) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, " m"]]:
    """Return (indices, values) of each column's extremes, so that no peak is lost in drawing."""
    size = len(values) // columns
    if size < 3:
        return np.arange(len(values), dtype=float), np.asarray(values)
    blocks = np.asarray(values)[: size * columns].reshape(columns, size)
    extremes = np.sort(np.stack([blocks.argmin(1), blocks.argmax(1)], 1), axis=1)
    index = (extremes + size * np.arange(columns)[:, None]).ravel()
    index = np.concatenate([index, np.arange(size * columns, len(values))])
    return index.astype(float), np.asarray(values)[index]


def png(figure: Figure) -> bytes:
    """Return a figure as a PNG of at most 256 colours, a third of the size of the full one."""
    full = io.BytesIO()
    figure.savefig(full, format="png", dpi=PIXELS_PER_INCH)
    with Image.open(full) as image:
        small = image.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    packed = io.BytesIO()
    small.save(packed, format="png", optimize=True)
    return packed.getvalue()


def headed_png(figure: Figure, title: str, theme: Theme = LIGHT) -> bytes:
    """Return a figure as a PNG with a title above it, clear of legends outside of its panels."""
    width = figure.get_size_inches()[0]
    heading = Figure(figsize=(width, 0.36), facecolor=theme.paper)
    heading.text(0.09 / width, 0.5, title, color=theme.ink, size=11, weight="bold", va="center")
    parts = [Image.open(io.BytesIO(png(part))).convert("RGB") for part in (heading, figure)]
    joined = Image.new("RGB", (parts[1].width, sum(part.height for part in parts)), theme.paper)
    joined.paste(parts[0], (0, 0))
    joined.paste(parts[1], (0, parts[0].height))
    packed = io.BytesIO()
    joined.save(packed, format="png", optimize=True)
    return packed.getvalue()
