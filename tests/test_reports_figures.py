"""Figures: nothing lost or leaked in drawing, and odd input that still draws."""

import matplotlib
import numpy as np
import pytest
from report_run import write_run

from ligo_cpc_snn.reports import event_figures, spike_figures, training_figures
from ligo_cpc_snn.reports.detection_figures import area_text, efficiency_curves, roc_curves
from ligo_cpc_snn.reports.figures import plots
from ligo_cpc_snn.reports.history import History
from ligo_cpc_snn.reports.panels import GRADIENT, readable
from ligo_cpc_snn.reports.run_files import RunFiles, read_run
from ligo_cpc_snn.reports.theme import DARK, envelope, png


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> RunFiles:
    return read_run(write_run(tmp_path_factory.mktemp("run")))


def test_every_panel_names_both_axes(files: RunFiles) -> None:
    for plot in plots(files):
        if plot.name == "windows":  # a grid: its outer panels name the axes
            continue
        panels = [axes for axes in plot.draw(DARK).get_axes() if axes.axison]
        assert panels
        for axes in panels:
            assert axes.get_xlabel(), plot.name
            assert axes.get_ylabel(), plot.name


def test_drawing_leaves_global_settings_alone(files: RunFiles) -> None:
    before = dict(matplotlib.rcParams)
    efficiency = files.metrics["detection"]
    figure = efficiency_curves(efficiency["snrs"], efficiency["efficiency"], theme=DARK)
    assert dict(matplotlib.rcParams) == before
    assert matplotlib.colors.to_hex(figure.get_facecolor()) == DARK.paper


@pytest.mark.parametrize("size", [10, 1500, 5000, 65_537])
def test_envelope_keeps_extremes_and_order(size: int) -> None:
    values = np.random.default_rng(size).normal(size=size)
    index, kept = envelope(values)
    assert (kept.min(), kept.max()) == (values.min(), values.max())
    assert np.all(np.diff(index) >= 0)
    np.testing.assert_array_equal(values[index.astype(int)], kept)


def test_roc_line_is_the_fraction_above_each_noise_score() -> None:
    noise, signal = np.arange(100.0), np.array([[50.5, 98.5, 200.0, -1.0]])
    axes = roc_curves(noise, signal, [8.0]).get_axes()[0]
    line = next(x for x in axes.get_lines() if x.get_label().strip() == "8")
    false, found = (np.asarray(x, float) for x in line.get_data())
    assert found[np.isclose(false, 0.01)][-1] == 0.5
    assert found[np.isclose(false, 0.49)][-1] == 0.75
    assert found[-1] == 1


def test_detector_axis_of_traces_is_laid_beside_channels() -> None:
    array = np.arange(24).reshape(2, 3, 4)
    np.testing.assert_array_equal(spike_figures.as_frames(array)[1], [4, 5, 6, 7, 16, 17, 18, 19])


def test_windows_without_some_arrays_or_spikes_still_draw(files: RunFiles) -> None:
    names = [name for name in files.traces if "noise_" not in name and "latents" not in name]
    traces = {name: files.traces[name] for name in names}
    traces["quiet_layer0_spikes"] = np.zeros_like(traces["quiet_layer0_spikes"])
    del traces["quiet_bridge_spikes"]
    assert len(png(spike_figures.example_windows(traces))) > 10_000


def test_event_without_strain_threshold_or_live_time_still_draws(files: RunFiles) -> None:
    unwanted = ("whitened", "background_slides_seconds")
    event = {name: value for name, value in files.event.items() if name not in unwanted}
    event["threshold"] = np.array(np.inf)
    assert len(png(event_figures.event_statistic(event))) > 5_000
    assert len(png(event_figures.event_background(event))) > 5_000


def test_short_and_flat_histories_draw() -> None:
    row = {"step": 1, "phase": "pretrain", "split": "train", "loss/total": 0.0}
    figure = training_figures.losses(History([row | {"gradient_norm/total": 0.0}]))
    assert len(png(figure)) > 1_000
    flat = History([row | {"gradient_norm/total": 0.0}, row | {"step": 2}])
    assert len(png(training_figures.curves(flat, [GRADIENT]))) > 1_000


@pytest.mark.parametrize(
    "area, text", [(1.0, "1.0000"), (0.99999, ">0.9999"), (0.99993, "0.9999"), (0.5, "0.5000")]
)
def test_auc_reads_one_only_when_it_is(area: float, text: str) -> None:
    assert area_text(area) == text


@pytest.mark.parametrize(
    "name, words",
    [("spike_rate/snn_0", "SNN layer 1"), ("loss/infonce", "InfoNCE"), ("auc", "AUC")],
)
def test_metric_names_read_as_words(name: str, words: str) -> None:
    assert readable(name) == words
