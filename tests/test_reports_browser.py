"""The pages in headless Chromium: no complaint, figures alive, toggles, themes, a phone."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Browser, browser, chromium
from report_run import write_run
from search_run import write_search
from sensitivity_run import write_sensitivity
from test_profile_page import record

from ligo_cpc_snn.report import main
from ligo_cpc_snn.reports.theme import DARK, LIGHT

pytestmark = pytest.mark.skipif(
    chromium() is None, reason="no Chromium on this machine: apt-get install chromium"
)
LIVE = {
    "run": {"efficiency", "roc", "event", "losses", "progress", "cpc", "optimiser", "resources",
            "spike_rates"},
    "search": {"trigger_times", "around_candidates", "inverse_far"},
    "evaluation": {"sensitive_distance", "efficiency", "found_missed"},
    "profile": {"flame_stages", "flame_call"},
    "comparison": {"efficiency", "losses", "progress", "cpc", "rates", "resources"},
}  # fmt: skip
WIDTH = "document.documentElement.scrollWidth"
NO_TRACE = (
    "[...document.querySelectorAll('.live')].filter(box => !box.querySelector('.main-svg') "
    "|| !box._fullData.length || box.clientHeight < 150).map(box => box.parentElement.id)"
)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Write every kind of page once."""
    base = tmp_path_factory.mktemp("pages")
    run = write_run(base / "run")
    folders = {
        "run": run,
        "search": write_search(base / "search", candidates=2),
        "evaluation": write_sensitivity(base / "evaluation"),
        "profile": base / "profile",
    }
    folders["profile"].mkdir()
    (folders["profile"] / "profile.json").write_text(json.dumps(record()))
    other = write_run(base / "other")
    config = (other / "config.yaml").read_text().replace("seed: 0", "seed: 1")
    (other / "config.yaml").write_text(config)
    for folder in folders.values():
        assert main([str(folder)]) == 0
    assert main([str(run), str(other), "-o", str(base / "comparison.html")]) == 0
    found = {kind: folder / "report.html" for kind, folder in folders.items()}
    return found | {"comparison": base / "comparison.html"}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all tests."""
    with browser(tmp_path_factory.mktemp("chromium")) as opened:
        yield opened


@pytest.mark.parametrize("kind", LIVE)
def test_page_is_alive_and_offline(page: Browser, pages: dict[str, Path], kind: str) -> None:
    page.look()
    page.open(pages[kind])
    assert page.run("document.documentElement.dataset.figures") == "ready"
    assert page.errors == []
    assert {url.split(":")[0] for url in page.requests} <= {"file", "data", "blob"}
    alive = page.run("[...document.querySelectorAll('.live')].map(box => box.parentElement.id)")
    assert set(alive) == LIVE[kind]
    assert page.run(NO_TRACE) == []
    # Of a figure that is alive its picture is hidden, of the others it is shown.
    both = page.run("[...document.querySelectorAll('figure')].filter(f => f.querySelector('.live')"
                    " && f.querySelector('.still')?.offsetHeight).length")  # fmt: skip
    assert both == 0


@pytest.mark.parametrize("kind", LIVE)
def test_a_phone_needs_no_scrolling_sideways(
    page: Browser, pages: dict[str, Path], kind: str
) -> None:
    page.look(390, 844)
    page.open(pages[kind])
    page.run("document.querySelectorAll('details').forEach(part => { part.open = true; })")
    assert page.run(WIDTH) <= 390
    wider = page.run(
        "[...document.querySelectorAll('figure, .panel:not(details), .live, .still, table')]"
        ".filter(e => e.scrollWidth > e.clientWidth + 1 && e.offsetHeight)"
        ".map(e => [e.className, e.closest('[id]')?.id, e.scrollWidth, e.clientWidth])"
    )
    assert wider == []
    assert page.errors == []


def test_legend_hides_a_search_with_its_band(page: Browser, pages: dict[str, Path]) -> None:
    page.look()
    page.open(pages["evaluation"])
    shown = (
        "document.querySelector('#sensitive_distance .live')._fullData"
        ".filter(t => t.legendgroup === 'search 1' && t.visible === true).length"
    )
    assert page.run(shown) == 3  # band, curve and dot
    page.click("#sensitive_distance .legendtoggle", 1)
    # A click is one only after the time in which a second would make it two.
    page.run("new Promise(done => setTimeout(done, 700))")
    assert page.run(shown) == 0
    page.click(".switch")  # the theme; what was hidden stays hidden
    page.run("new Promise(done => setTimeout(done, 300))")
    assert page.run(shown) == 0
    assert page.errors == []


def test_a_part_of_the_triggers_can_be_looked_at_closely(
    page: Browser, pages: dict[str, Path]
) -> None:
    page.look()
    page.open(pages["search"])
    span = (
        "(() => { const axis = document.querySelector('#trigger_times .live')._fullLayout.xaxis;"
        "return axis.range.map(end => axis.r2l(end)); })()"
    )
    whole = page.run(span)
    page.drag("#trigger_times .nsewdrag", (0.25, 0.5), (0.5, 0.5))
    page.run("new Promise(done => setTimeout(done, 700))")
    part = page.run(span)
    length = whole[1] - whole[0]
    assert part[0] == pytest.approx(whole[0] + 0.25 * length, abs=0.02 * length)
    assert part[1] == pytest.approx(whole[0] + 0.5 * length, abs=0.02 * length)
    reset = "[...document.querySelectorAll('#trigger_times .modebar-btn')].find(button => "
    page.run(f"{reset}/reset|autoscale/i.test(button.dataset.title)).click()")
    page.run("new Promise(done => setTimeout(done, 700))")
    assert page.run(span) == pytest.approx(whole)
    assert page.errors == []


def test_switch_and_system_change_page_pictures_and_figures(
    page: Browser, pages: dict[str, Path]
) -> None:
    page.look()
    page.open(pages["search"])
    page.run("localStorage.clear()")
    page.open(pages["search"])
    paper = "document.querySelector('#trigger_times .live')._fullLayout.paper_bgcolor"
    visible = (
        "[...document.querySelectorAll('#timeline img')].filter(i => i.offsetHeight)"
        ".map(i => i.className)"
    )
    wait = "new Promise(done => setTimeout(done, 300))"
    assert (page.run(paper), page.run(visible)) == (LIGHT.paper, ["on-light"])
    page.click(".switch")
    page.run(wait)
    assert (page.run(paper), page.run(visible)) == (DARK.paper, ["on-dark"])
    page.open(pages["search"])  # the choice is kept
    assert (page.run(paper), page.run(visible)) == (DARK.paper, ["on-dark"])
    page.run("localStorage.clear()")
    page.look(dark=True)
    page.open(pages["search"])
    assert (page.run(paper), page.run(visible)) == (DARK.paper, ["on-dark"])
    page.look(dark=False)
    page.run(wait)
    assert (page.run(paper), page.run(visible)) == (LIGHT.paper, ["on-light"])


def test_trigger_tells_its_time_rate_and_event(page: Browser, pages: dict[str, Path]) -> None:
    page.look()
    page.open(pages["search"])
    page.run("new Promise(done => { const box = document.querySelector('#trigger_times .live');"
             "box.scrollIntoView(); box.on('plotly_afterplot', done);"
             "const star = box.data.findIndex(t => t.marker.symbol === 'star');"
             "Plotly.Fx.hover(box, [{curveNumber: star, pointNumber: 0}]); done(); })")  # fmt: skip
    told = page.run("document.querySelector('#trigger_times .hoverlayer').textContent")
    for text in ("2015-09-14 09:50:45.419", "GPS 1126259462.419", "statistic 18.40", "below",
                 "19\N{NO-BREAK SPACE}ms after GW150914"):  # fmt: skip
        assert text in told


def test_figures_can_be_saved(page: Browser, pages: dict[str, Path], tmp_path: Path) -> None:
    page.look()
    page.open(pages["search"])
    page.send("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    for figure, text in (("trigger_times", "SVG"), ("trigger_times", "CSV"), ("timeline", "PNG")):
        page.run(f"[...document.querySelectorAll('#{figure} .save button')]"
                 f".find(b => b.textContent === '{text}').click()")  # fmt: skip
        wanted = tmp_path / f"{figure}.{text.lower()}"
        page.run(f"new Promise(done => setTimeout(done, {500}))")
        for _ in range(200):
            if wanted.exists() and wanted.stat().st_size:
                break
            page.run("new Promise(done => setTimeout(done, 100))")
        assert wanted.stat().st_size > 500, wanted
    assert (tmp_path / "trigger_times.svg").read_text("utf-8").startswith("<svg")
    assert (tmp_path / "timeline.png").read_bytes().startswith(b"\x89PNG")
    lines = (tmp_path / "trigger_times.csv").read_text("utf-8").splitlines()
    triggers = (pages["search"].parent / "triggers.csv").read_text().splitlines()
    assert len(lines) == len([row for row in triggers if not row.startswith("#")])
    assert lines[0].startswith("curve,x axis,y axis,x,y,UTC,GPS,false-alarm rate")


def test_numbers_never_leave_the_page(page: Browser, pages: dict[str, Path]) -> None:
    """Plotly 7 offers to share a chart by uploading it unless it is told not to."""
    page.look()
    page.open(pages["run"])
    titles = page.run("[...document.querySelectorAll('.modebar-btn')].map(b => b.dataset.title)")
    assert titles
    assert not [title for title in titles if "hare" in title or "loud" in title]
