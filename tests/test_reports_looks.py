"""What looking at the pages found: remarks out of sight, rows out of order, hidden curves."""

from pathlib import Path

import numpy as np
import pytest
from report_run import write_run

from ligo_cpc_snn.reports import live, live_detection, live_training
from ligo_cpc_snn.reports.compared_metrics import Numbers, aligned
from ligo_cpc_snn.reports.headline import interval
from ligo_cpc_snn.reports.run_files import read_run
from ligo_cpc_snn.reports.training_figures import spans_decades


def test_the_legend_stands_below_the_axis_titles_whatever_the_height() -> None:
    for height in (200, 900):
        legend = live.chart(x="x", y="y", height=height).layout.legend
        assert (legend.yref, legend.y, legend.yanchor) == ("container", 0, "bottom")


def test_remarks_on_logarithmic_axes_are_within_the_picture(tmp_path: Path) -> None:
    """Plotly places shapes by value but texts by the value's logarithm."""
    rng = np.random.default_rng(0)
    roc = live_detection.roc(rng.normal(size=500), rng.normal(1, 1, (1, 50)), [8.0], [])
    (note,) = roc.layout.annotations
    assert roc.layout.xaxis.range[0] <= note.x <= roc.layout.xaxis.range[1]
    history = read_run(write_run(tmp_path / "run")).history
    rates = live_training.spike_rates(history, 0.005, 0.6)
    low, high = rates.layout.yaxis.range
    notes = {n.text: n.y for n in rates.layout.annotations if n.text in ("silent", "saturated")}
    assert notes == pytest.approx({"silent": np.log10(0.005), "saturated": np.log10(0.6)})
    assert all(low <= y <= high for y in notes.values())


def test_rows_are_in_the_order_of_their_numbers() -> None:
    first, second = Numbers(), Numbers()
    for rate in (100, 1000):
        first.add("distance", f"{rate} false alarms a month", "1")
    for rate in (200, 10000):
        second.add("distance", f"{rate} false alarms a month", "1")
    for name in ("steps", "layer 2", "layer 1"):
        first.add("cost", name, "1")  # not all have a number: as they came
    (_, distance), (_, cost) = aligned([first, second])
    assert [int(row.name.split()[0]) for row in distance] == [100, 200, 1000, 10000]
    assert [row.name for row in cost] == ["steps", "layer 2", "layer 1"]


def test_a_frozen_part_does_not_keep_an_axis_linear() -> None:
    assert spans_decades([0.0, 1e-4, 0.5])
    assert not spans_decades([0.0, 0.4, 0.5])
    assert not spans_decades([-1.0, 1e-4, 0.5])
    assert not spans_decades([0.0])


def test_an_interval_up_to_nearly_one_reads_as_words() -> None:
    assert interval({"low": 0.9998, "high": 0.99999}) == "0.9998 or more"
    assert interval({"low": 0.99996, "high": 0.99999}) == ">0.9999"
    assert interval({"low": 0.9, "high": 0.95}) == "0.9000–0.9500"
