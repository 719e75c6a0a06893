"""Interactive figures and comparisons: they draw the saved numbers, and nothing differs unseen."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_run import write_run
from search_run import write_search
from sensitivity_run import write_sensitivity
from test_profile_page import record

from ligo_cpc_snn.report import main
from ligo_cpc_snn.reports import live, live_detection, live_search, live_sensitivity
from ligo_cpc_snn.reports.compared_folders import labels_of, read_all
from ligo_cpc_snn.reports.compared_metrics import Numbers, aligned, best
from ligo_cpc_snn.reports.comparison_page import write_comparison
from ligo_cpc_snn.reports.detection_figures import fraction_above
from ligo_cpc_snn.reports.differences import ABSENT, differences, flat
from ligo_cpc_snn.reports.figures import plots
from ligo_cpc_snn.reports.folders import ReportError
from ligo_cpc_snn.reports.profile_plots import profile_plots
from ligo_cpc_snn.reports.run_files import read_run
from ligo_cpc_snn.reports.search_figures import search_plots
from ligo_cpc_snn.reports.search_files import SearchFiles, read_search
from ligo_cpc_snn.reports.sensitivity_files import read_sensitivity
from ligo_cpc_snn.reports.sensitivity_page import sensitivity_plots

SETTINGS = st.dictionaries(
    st.sampled_from("abcd"), st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    min_size=1,
)  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def search(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_search(tmp_path_factory.mktemp("search"), candidates=1)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sensitivity(tmp_path_factory.mktemp("measured"))


def test_every_colour_has_a_dark_one(run: Path, search: Path, measured: Path) -> None:
    wanted = [*plots(read_run(run)), *search_plots(read_search(search)),
              *sensitivity_plots(read_sensitivity(measured)), *profile_plots(record())]  # fmt: skip
    figures = [plot.live() for plot in wanted if plot.live]
    assert len(figures) == 17
    for figure in figures:
        text = json.dumps(live.as_json(figure))
        assert "NaN" not in text
        text = re.sub(r'"colorscale": \[\[.*?\]\]', "", text)  # the same on both papers
        colours = set(re.findall(r'"(#[0-9a-f]{6})(?:[0-9a-f]{2})?"', text))
        assert colours
        assert colours <= live.palette().keys()


def test_roc_is_the_fraction_above_each_threshold() -> None:
    rng = np.random.default_rng(0)
    noise, signal = rng.normal(0, 1, 5000), rng.normal(2, 1, (1, 900))
    curve = live_detection.roc(noise, signal, [8.0], []).data[0]
    false, found = np.array(curve.x), np.array(curve.y)
    assert np.all(np.diff(false) > 0)
    assert np.all(np.diff(found) >= 0)
    thresholds = np.quantile(noise, 1 - false[:-1])
    np.testing.assert_allclose(fraction_above(signal[0], thresholds), found[:-1], atol=3e-3)


def test_a_trigger_is_told_as_the_file_has_it(search: Path) -> None:
    files = read_search(search)
    figure = live_search.trigger_times({"triggers": files})
    told = {row[1]: (y, row) for trace in figure.data
            for y, row in zip(trace.y, trace.customdata, strict=True)}  # fmt: skip
    columns = files.triggers
    assert len(told) == columns["time"].size
    for row in range(columns["time"].size):
        y, texts = told[f"{columns['time'][row]:.3f}"]
        assert y == pytest.approx(columns["statistic"][row], rel=1e-5)
        assert str(columns["nearest_event"][row]) in texts[4]


def test_curve_of_distances_lies_on_the_saved_one(measured: Path) -> None:
    files = read_sensitivity(measured)
    figure = live_sensitivity.sensitive_distance([(s.name, s) for s in files.searches])
    for search in files.searches:
        _, curve, _ = [t for t in figure.data if t.legendgroup == search.name]
        saved = np.interp(curve.x, search.arrays["per_month"], search.arrays["distance"])
        np.testing.assert_allclose(curve.y, saved, rtol=1e-4)


@settings(deadline=None, max_examples=50)
@given(st.lists(SETTINGS, min_size=2, max_size=3))
def test_exactly_what_differs_is_listed(configs: list[dict]) -> None:
    listed = dict(differences([{"part": one} for one in configs]))
    for name in {name for one in configs for name in one}:
        written = {json.dumps(one.get(name, ABSENT)) for one in configs}
        same = len(written) == 1 and all(name in one for one in configs)
        assert same == (f"part.{name}" not in listed) or len(
            {str(one.get(name, ABSENT)) for one in configs}
        ) < len(written)  # "1" and 1, or "–" and none, read the same
    assert differences([configs[0], dict(configs[0])]) == []


def test_names_and_folders_are_no_difference() -> None:
    one = {"name": "a", "run_dir": "x", "training": {"steps": 3}, "data": {}}
    assert differences([one, one | {"name": "b", "run_dir": "y"}]) == []
    other = one | {"training": {"steps": 4, "lr": None}}
    assert differences([one, other]) == [
        ("training.steps", ["3", "4"]), ("training.lr", [ABSENT, "null"]),
    ]  # fmt: skip
    assert flat(one)["data"] == {}


def test_best_is_beyond_all_others_or_none() -> None:
    assert best([(0.5, 0.6, True), (0.7, 0.8, True), None]) == 1
    assert best([(0.5, 0.71, True), (0.7, 0.8, True)]) is None
    assert best([(5.0, 5.2, False), (6.0, 6.5, False)]) == 0
    assert best([(0.5, 0.6, True), None]) is None


def test_numbers_are_aligned_by_name_not_by_place() -> None:
    first, second = Numbers(), Numbers()
    first.add("AUC", "SNR 4", "0.6")
    first.add("AUC", "SNR 8", "0.9")
    second.add("AUC", "SNR 8", "0.8")
    second.add("cost", "time", "1 h")
    (_, auc), (_, cost) = aligned([first, second])
    assert [(row.name, [v for v, _ in row.cells]) for row in auc] == [
        ("SNR 4", ["0.6", ABSENT]), ("SNR 8", ["0.9", "0.8"]),
    ]  # fmt: skip
    assert [v for v, _ in cost[0].cells] == [ABSENT, "1 h"]


def test_labels_are_the_shortest_that_differ(tmp_path: Path) -> None:
    made = [tmp_path / name for name in ("a/run", "b/run", "c")]
    assert labels_of(made[:2]) == ["a/run", "b/run"]
    assert labels_of(made[1:]) == ["run", "c"]
    with pytest.raises(ReportError, match="is given twice"):
        labels_of([made[0], made[0]])


def test_runs_of_different_data_are_compared_with_a_warning(run: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    write_run(other)
    config = (other / "config.yaml").read_text().replace("source: real", "source: synthetic")
    (other / "config.yaml").write_text(config)
    compared = read_all([run, other])
    assert "different settings" in compared.caveats[0]
    assert differences(compared.settings) == [("data.source", ["real", "synthetic"])]
    text = write_comparison([run, other], tmp_path / "c.html").read_text("utf-8")
    assert "data.source" in text
    assert f"{run.name} and other differ in 1 setting." in text
    same = write_comparison([run, write_run(tmp_path / "same")], tmp_path / "s.html")
    assert f"{run.name} and same have the same settings." in same.read_text("utf-8")
    assert f"{read_run(run).metrics['detection']['auc'][2]['value']:.4f}" in text


def test_evaluations_of_other_strain_are_said_to_be(measured: Path, tmp_path: Path) -> None:
    same, other = (write_sensitivity(tmp_path / n, settings_hash=n) for n in "ab")
    assert read_all([measured, same]).caveats == []
    assert "different strain" in read_all([measured, other]).caveats[0]
    assert len(read_all([measured, other]).columns) == 4  # two searches of each


def test_searches_are_compared(search: Path, tmp_path: Path) -> None:
    short = write_search(tmp_path / "short", one_segment=True, candidates=0)
    compared = read_all([search, short])
    assert "different times" in compared.caveats[0]
    assert [plot.name for plot in compared.plots] == ["trigger_times", "inverse_far"]
    assert main([str(search), str(short), "-o", str(tmp_path / "c.html")]) == 0


def test_what_cannot_be_compared_is_one_line(
    run: Path, search: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    profile = tmp_path / "profile"
    profile.mkdir()
    (profile / "profile.json").write_text(json.dumps(record()))
    (tmp_path / "empty").mkdir()
    for folders, text in (
        ([run, search], "give folders of one kind"),
        ([profile, profile / "nowhere"], "does not exist"),
        ([tmp_path / "empty"], "holds no saved result"),
        ([run / "config.yaml"], "is a file"),
    ):
        assert main([str(folder) for folder in folders]) == 1
        told = capsys.readouterr().err
        assert text in told
        assert told.count("\n") == 1
    assert main([str(run), "-o", str(tmp_path / "x.html")]) == 1
    assert "is for comparing" in capsys.readouterr().err


def test_hostile_names_stay_text(search: Path, tmp_path: Path) -> None:
    files = read_search(search)
    evil = "</script><script>alert(1)</script>"
    names = files.triggers["nearest_event"].copy()
    names[:] = evil
    broken = SearchFiles(files.folder, files.record, files.triggers | {"nearest_event": names})
    text = json.dumps(live.as_json(live_search.trigger_times({"x": broken})))
    assert "<script" not in text  # Plotly reads some HTML: it is escaped for it
    other = write_run(tmp_path / "</b><b>x".replace("/", "_"))
    (other / "config.yaml").write_text(f"name: a\nseed: '{evil}'\n")
    page = write_comparison([write_run(tmp_path / "plain"), other], tmp_path / "c.html")
    assert "<script>alert" not in page.read_text("utf-8")
