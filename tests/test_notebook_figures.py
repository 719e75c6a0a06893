"""The look of figures in a notebook, whatever other libraries have set for all."""

import io

import matplotlib
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.projections import get_projection_class, register_projection
from PIL import Image

from ligo_cpc_snn.reports.figures import Plot
from ligo_cpc_snn.reports.theme import DARK, LIGHT, Theme, adopt, png


def drawn(theme: Theme) -> Figure:
    figure = Figure(figsize=(4, 2), facecolor=theme.paper)
    figure.subplots()
    return figure


class OthersAxes(Axes):
    """As gwpy's, which take the place of Matplotlib's own."""

    name = "rectilinear"


def test_a_notebook_gets_its_look_back_from_a_library_that_took_it():
    own = get_projection_class("rectilinear")
    with matplotlib.rc_context():
        try:
            register_projection(OthersAxes)
            matplotlib.rcParams["axes.labelsize"] = 40
            matplotlib.rcParams["lines.linestyle"] = "--"  # not among the theme's settings
            adopt(LIGHT)
            assert type(Figure().subplots()) is Axes
            assert matplotlib.rcParams["axes.labelsize"] == LIGHT.settings()["axes.labelsize"]
            assert matplotlib.rcParams["lines.linestyle"] == "-"
            assert matplotlib.rcParams["axes.facecolor"] == LIGHT.paper
        finally:
            register_projection(own)


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_the_title_stands_above_the_figure_and_changes_nothing_in_it(theme):
    plot = Plot("name", "section", "What is seen (unit)", "caption", drawn)
    whole = Image.open(io.BytesIO(plot.picture(theme))).convert("RGB")
    alone = Image.open(io.BytesIO(png(drawn(theme)))).convert("RGB")
    above = whole.height - alone.height
    assert whole.width == alone.width
    assert above > 0
    assert whole.crop((0, above, whole.width, whole.height)).tobytes() == alone.tobytes()
    assert len(whole.crop((0, 0, whole.width, above)).getcolors()) > 1  # a text


def test_an_interactive_figure_has_no_picture():
    with pytest.raises(ValueError, match="name is interactive only"):
        Plot("name", "section", "title", "caption", None).picture()
