"""The report page of a search: its words, its figures, and folders that lack something."""

import json
import subprocess
import sys
from pathlib import Path

import h5py
import matplotlib
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.projections import get_projection_class
from PIL import Image
from search_run import EVENTS, OFFSET, SLIDES, THRESHOLD, write_search
from test_reports_page import _Page as Page
from test_reports_page import assert_self_contained

from ligo_cpc_snn.reports import words
from ligo_cpc_snn.reports.detector_card import card_panels
from ligo_cpc_snn.reports.false_alarm_figures import inverse_far, statistics
from ligo_cpc_snn.reports.search_files import SearchFiles, read_search
from ligo_cpc_snn.reports.search_page import ACKNOWLEDGEMENT, render_search, write_search_report
from ligo_cpc_snn.reports.timeline_figure import stretches, timeline

JOINT = words.JOINT


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = write_search(tmp_path_factory.mktemp("search"), candidates=4)
    write_search_report(made)
    return made


def _words_of(folder: Path) -> str:
    """Return the page's text, without the time that its figures would take."""
    files = read_search(folder)
    return Page(render_search(files, [], files.missing)).text.replace(JOINT, " ")


def _rewrite(folder: Path, **changes: object) -> None:
    path = folder / "search.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_page_is_whole_and_self_contained(folder: Path) -> None:
    text = (folder / "report.html").read_text("utf-8")
    page = Page(text)
    assert len(text) < 6e6  # of which plotly.js is 2
    assert_self_contained(page)
    drawn = sorted(path.stem for path in (folder / "figures").glob("*.png"))
    assert drawn == [*(f"candidate_{i}" for i in (1, 2, 3, 4)), "inverse_far", "statistics",
                     "timeline"]  # fmt: skip
    assert len([t for t, _ in page.tags if t == "img"]) == 2 * len(drawn)
    figures = {a["id"] for t, a in page.tags if t == "figure"}
    assert figures == {*drawn, "trigger_times", "around_candidates"}
    anchors = {a["id"] for _, a in page.tags if "id" in a}
    links = [str(a["href"])[1:] for t, a in page.tags if t == "a"]
    assert links
    assert set(links) <= anchors
    assert "Missing from this report" not in page.text


def test_figures_are_pictures_with_content(folder: Path) -> None:
    for path in (folder / "figures").glob("*.png"):
        with Image.open(path) as image:
            assert min(image.size) > 300
            assert len(image.convert("RGB").getcolors(maxcolors=10**6) or []) > 20


def test_page_tells_what_was_found(folder: Path) -> None:
    text = Page((folder / "report.html").read_text("utf-8")).text.replace(JOINT, " ")
    background = read_search(folder).background_seconds
    assert "bbh_o3 searched 1.48 h of H1 + L1 strain." in text
    assert "GW150914 is its loudest trigger, 19 ms after the catalogue's time (given to 0.1 s)" in (
        text
    )
    resolved = words.duration(background).replace(JOINT, " ")
    assert f"louder than all {resolved} of background" in text
    assert f"false-alarm rate is below 1 per {resolved}" in text
    assert "Of the 3 catalogue events in that time, 3 have a trigger." in text
    assert f"{SLIDES} time slides; resolves 1 per {resolved}" in text
    assert "2015-09-14 09:50:45.419" in text
    assert "15 s: shorter than minimum_seconds=8" in text
    assert "1512 ± 17 Mpc" in text
    assert "no strain of O4 was seen" in text
    assert ACKNOWLEDGEMENT in text


def test_numbers_of_the_table_are_those_of_the_file(folder: Path) -> None:
    text = _words_of(folder)
    with h5py.File(folder / "triggers.hdf5") as file:
        order = np.argsort(-file["statistic"][()])
        for row in order[:10]:
            assert f"{file['statistic'][row]:.2f}" in text
            assert f"GPS {file['time'][row]:.3f}" in text
            far = words.duration(words.YEAR / file["far_per_year"][row]).replace(JOINT, " ")
            assert f"1 per {far}" in text


@pytest.mark.parametrize("empty", [True, False])
def test_search_without_background_says_so(tmp_path: Path, empty: bool) -> None:
    text = _words_of(write_search(tmp_path, slides=0, candidates=0, empty=empty))
    assert "No background was made, so no trigger has a false-alarm rate." in text
    assert "1 per" not in text
    assert "nan" not in text
    if empty:
        assert f"found nothing above its threshold of {THRESHOLD:.2f}" in text
        assert "no trigger above the threshold" in text  # of the catalogue's events
    else:
        assert "without background nothing is said of how often noise is as loud" in text


def test_search_of_noise_without_catalogue(tmp_path: Path) -> None:
    text = _words_of(write_search(tmp_path, found=0, catalogue=False, candidates=0))
    assert "Its loudest trigger is at 20" in text
    assert "its false-alarm rate is below" not in text
    assert "noise alone has something as loud with probability 0." in text
    assert "No catalogue of events was at hand" in text
    assert not [name for name in EVENTS if name in text.replace("ligo-search", "")
                .split("The search")[0]]  # fmt: skip


def test_only_open_data_is_acknowledged(tmp_path: Path) -> None:
    folder = write_search(tmp_path, one_segment=True, candidates=0)
    assert ACKNOWLEDGEMENT in _words_of(folder)
    _rewrite(folder, open_data=False)
    assert ACKNOWLEDGEMENT not in _words_of(folder)


def test_extrapolated_rate_is_marked_and_no_bound(tmp_path: Path) -> None:
    folder = write_search(tmp_path, one_segment=True, candidates=0)
    with h5py.File(folder / "triggers.hdf5", "r+") as file:
        row = int(np.argmax(file["statistic"][()]))
        file["extrapolated"][row] = True
        file["far_per_year"][row] = 1e-3
    text = _words_of(folder)
    assert "its false-alarm rate, 1 per 1,000 years, is extrapolated beyond the" in text
    assert "< 1 per" not in text
    assert "Lower ones are extrapolated and marked." in text


@pytest.mark.parametrize("name", ["search.json", "triggers.hdf5", "background.npz"])
@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 {"])
def test_missing_or_broken_file_is_named(tmp_path: Path, name: str, content: bytes | None) -> None:
    folder = write_search(tmp_path, one_segment=True, candidates=0)
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    text = _words_of(folder)
    assert f"{name}, " in text
    assert ("the search did not write it" if content is None else "unreadable (") in text


def test_candidate_without_arrays_is_drawn_and_says_so(tmp_path: Path) -> None:
    folder = write_search(tmp_path, one_segment=True, candidates=1)
    with np.load(folder / "candidates.npz") as saved:
        kept = {name: saved[name] for name in saved.files if not name.startswith("0_")}
    np.savez(folder / "candidates.npz", **kept)
    assert "could not be drawn" not in write_search_report(folder).read_text("utf-8")
    assert (folder / "figures" / "candidate_1.png").exists()


def test_no_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="give the folder of a search"):
        write_search_report(tmp_path / "nowhere")


def test_text_of_a_search_cannot_become_markup(tmp_path: Path) -> None:
    folder = write_search(tmp_path, one_segment=True, candidates=0)
    _rewrite(folder, name="<script>alert(1)</script>", warnings=["<b>loud</b>"])
    files = read_search(folder)
    page = Page(render_search(files, [], []))
    assert "b" not in {tag for tag, _ in page.tags}
    assert page.scripts == [{}, {}]  # the page's own two
    assert "<b>loud</b>" in page.text


def test_inverse_rates_are_counted_and_noise_falls_as_it_should() -> None:
    ifar = np.array([3e-4, 1e-4, 2e-3, 2e-3])
    figure = inverse_far(
        ifar, np.zeros(4, bool), np.array([False, False, True, True]), ["", "", "GW1", "GW2"],
        searched_seconds=3600.0, background_seconds=63115.2,
    )  # fmt: skip
    (axes,) = figure.axes
    lines = {str(line.get_label()): np.array(line.get_xydata()) for line in axes.lines}
    hours = ifar * words.YEAR / 3600
    np.testing.assert_allclose(lines["triggers"], [[hours[1], 4], [hours[0], 3]])
    np.testing.assert_allclose(lines["triggers, at least"], [[hours[2], 2], [hours[3], 1]])
    noise = lines["noise, expected"]
    np.testing.assert_allclose(noise[:, 0] * noise[:, 1], 1.0)  # of an hour, in hours
    assert axes.get_xlabel() == "inverse false-alarm rate (hours)"
    assert {text.get_text() for text in axes.texts} >= {"GW1", "GW2"}


def test_background_is_scaled_to_the_time_searched() -> None:
    background = np.random.default_rng(0).exponential(1, 5000)
    figure = statistics(np.array([4.0]), background, [""], scale=0.01, searched="1 h")
    (axes,) = figure.axes
    filled = axes.patches[0].get_data()  # type: ignore[attr-defined]
    np.testing.assert_allclose(filled.values.sum(), 50.0)


def test_time_is_drawn_once_in_its_state() -> None:
    spans = [
        {"start": 100.0, "end": 110.0, "state": "warm-up"},
        {"start": 110.0, "end": 400.0, "state": "analysed"},
        {"start": 5000.0, "end": 5100.0, "state": "left out"},
    ]
    assert [len(row) for row in stretches(spans)] == [2, 1]
    figure = timeline(spans, np.array([200.0, 9e9]), ["GW1", "far away"])
    (axes,) = figure.axes
    paths = [path for bars in axes.collections for path in bars.get_paths()]
    widths = [float(np.ptp(np.asarray(path.vertices)[:, 0])) * 60 for path in paths]
    np.testing.assert_allclose(widths, [10.0, 290.0, 100.0])
    assert [text.get_text() for text in axes.texts] == ["GW1"]
    assert len(stretches([s | {"end": s["start"] + 4900} for s in spans[1:]])) == 1


def test_other_libraries_axes_and_settings_neither_matter_nor_are_lost() -> None:
    class Odd(Axes):
        name = "rectilinear"

    before = get_projection_class("rectilinear")
    matplotlib.projections.register_projection(Odd)
    try:
        with matplotlib.rc_context({"legend.numpoints": 2}):
            figure = statistics(np.ones(2), np.zeros(0), ["", ""], scale=0.0, searched="")
            assert matplotlib.rcParams["legend.numpoints"] == 2
        assert get_projection_class("rectilinear") is Odd
    finally:
        matplotlib.projections.register_projection(before)
    assert type(figure.axes[0]) is Axes


@pytest.mark.parametrize(
    "seconds, text",
    [(0.5, "0.5 s"), (60, "1 min"), (3599.9, "1 h"), (43200, "12 h"), (86400, "1 day"),
     (1e6, "11.6 days"), (words.YEAR, "1 year"), (1.5e12, "47,532 years")],
)  # fmt: skip
def test_durations_in_words(seconds: float, text: str) -> None:
    assert words.duration(seconds).replace(JOINT, " ") == text
    assert words.rate(words.YEAR / seconds).replace(JOINT, " ") == f"1 per {text}"


def test_times_in_words() -> None:
    assert words.utc(1126259462.42) == "2015-09-14 09:50:45.420"
    assert words.utc(1167264018.0, 0) == "2017-01-01 00:00:00"  # after a leap second
    assert words.offset(-0.0031).replace(JOINT, " ") == "3 ms"
    assert words.offset(0.31).replace(JOINT, " ") == "0.31 s"
    assert [words.decimals(t) for t in (1e9, 1126259462.4, 1126259462.42, 1e9 + 0.12345)] == [
        0, 1, 2, None,
    ]  # fmt: skip
    assert [words.probability(p) for p in (float("nan"), 0.9999, 0.5, 3e-5)] == [
        "–", "> 0.99", "0.5", "3.0e-05",
    ]  # fmt: skip


def test_only_a_trigger_within_the_timing_is_the_event() -> None:
    triggers = {
        "nearest_event_offset_seconds": np.array([0.29, -0.31, np.nan]),
        "nearest_event": np.array(["GW1", "GW1", ""], dtype=object),
    }
    files = SearchFiles(Path(), {"timing_seconds": 0.3}, triggers)
    assert [files.event_of(row) for row in range(3)] == ["GW1", "", ""]


def test_card_leaves_out_tables_and_an_empty_card_is_none() -> None:
    assert card_panels({}) == []
    panels = dict(card_panels({"name": "x", "card": {"numbers": {"auc": [{"value": 1}], "n": 2}}}))
    assert panels == {"What it is": [("name", "x")], "What it finds": [("n", "2")]}


def test_search_reports_need_no_jax_no_gwpy_and_no_pyplot() -> None:
    code = (
        "import sys, ligo_cpc_snn.reports.search_page;"
        "print([m for m in ('jax', 'gwpy', 'matplotlib.pyplot') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        cwd=Path(__file__).parents[1],
    )  # fmt: skip
    assert done.stdout.strip() == "[]"


def test_offset_of_the_fake_is_that_of_its_peak(folder: Path) -> None:
    """The statistic is shown at the trigger's time although its frames end later."""
    with np.load(folder / "candidates.npz") as saved:
        peak = saved["0_statistic_time"][np.argmax(saved["0_statistic"])]
    assert abs(peak) < OFFSET / 2
