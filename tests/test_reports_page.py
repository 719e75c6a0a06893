"""The report page of a whole run folder, and of broken ones."""

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from report_run import write_run

from ligo_cpc_snn.report import main
from ligo_cpc_snn.reports.page import write_report
from ligo_cpc_snn.reports.run_files import read_run

VOID = {"meta", "img", "source", "br", "link", "hr", "input"}


class _Page(HTMLParser):
    """Collects tags and text, and checks that tags close in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.scripts: list[dict[str, str | None]] = []
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append(dict(attrs))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_run(tmp_path_factory.mktemp("run"))
    write_report(folder)
    return folder


def _copy_without(run_dir: Path, target: Path, *names: str) -> Path:
    for path in run_dir.iterdir():
        if path.is_file() and path.name not in (*names, "report.html"):
            (target / path.name).write_bytes(path.read_bytes())
    return target


def _detection_only(run_dir: Path, target: Path) -> Path:
    """A folder that draws one figure only, so that a test is quick."""
    unwanted = ("evaluation.npz", "traces.npz", "event.npz", "metrics.jsonl")
    return _copy_without(run_dir, target, *unwanted)


def test_page_is_whole_self_contained_and_small(run_dir: Path) -> None:
    text = (run_dir / "report.html").read_text("utf-8")
    page = _Page(text)
    assert len(text) < 5e6  # of which plotly.js is 2
    assert_self_contained(page)
    pictures = [a for t, a in page.tags if t == "img"]
    drawn = {path.stem for path in (run_dir / "figures").glob("*.png")}
    assert len(pictures) == 2 * len(drawn) >= 20
    assert drawn == {a["id"] for t, a in page.tags if t == "figure"}
    # Only markup may lead elsewhere: plotly.js, which is compressed here, names many addresses.
    assert not re.search(r"""(src|href|srcset)=["']?(https?:)?//|url\(|@import""", text)
    assert all(a.get("alt") for a in pictures)
    anchors = {a["id"] for _, a in page.tags if "id" in a}
    links = [a["href"] for t, a in page.tags if t == "a"]
    assert all(str(link).startswith("#") and str(link)[1:] in anchors for link in links)


def assert_self_contained(page: _Page) -> None:
    """Nothing is loaded from elsewhere, and plotly.js is in the page once."""
    assert not any(tag in ("iframe", "object", "embed") for tag, _ in page.tags)
    assert all("src" not in script for script in page.scripts)
    assert [s.get("id") for s in page.scripts].count("plotly") == 1
    assert [a["href"] for t, a in page.tags if t == "link"] == ["data:,"]  # no icon is asked for
    sources = [str(a["src"]) for t, a in page.tags if t == "img"]
    assert all(source.startswith("data:image/png;base64,") for source in sources)


def test_page_tells_the_saved_numbers(run_dir: Path) -> None:
    text = _Page((run_dir / "report.html").read_text("utf-8")).text
    measured = json.loads((run_dir / "metrics.json").read_text())["detection"]
    row = measured["snrs"].index(8.0)
    assert f"{measured['auc'][row]['value']:.4f}" in text
    for curve in measured["efficiency"]:
        rate = curve["rates"][row]
        assert f"{100 * rate['value']:.1f} %" in text
        assert f"{100 * rate['low']:.1f}–{100 * rate['high']:.1f} %" in text
    assert "window_seconds: 1.0" in text
    assert "0.10.2" in text
    assert "Missing from this report" not in text


def test_figures_are_pictures_with_content(run_dir: Path) -> None:
    for path in (run_dir / "figures").glob("*.png"):
        with Image.open(path) as image:
            assert min(image.size) > 300
            assert len(image.convert("RGB").getcolors(maxcolors=10**6) or []) > 20


def test_page_without_interactive_figures_holds_no_plotly(tmp_path: Path) -> None:
    text = write_report(tmp_path).read_text("utf-8")
    assert "plotly" not in {script.get("id") for script in _Page(text).scripts}
    assert len(text) < 60_000


def test_empty_run_folder_says_what_is_missing(tmp_path: Path) -> None:
    text = _Page(write_report(tmp_path).read_text("utf-8")).text
    for name in ("config.yaml", "metrics.jsonl", "metrics.json", "evaluation.npz", "traces.npz"):
        assert f"{name}, " in text
    assert "the run did not write it" in text
    assert "not recorded in metrics.json" in text


def test_event_asked_for_but_not_run_is_missing(run_dir: Path, tmp_path: Path) -> None:
    files = read_run(_copy_without(run_dir, tmp_path, "event.npz"))
    assert files.missing == ["event.npz, the event: the run did not write it."]


@pytest.mark.parametrize(
    "name, content, reason",
    [
        ("config.yaml", b"a: [1", "unreadable"),
        ("config.yaml", b"- 1", "expected settings at the top, found list"),
        ("metrics.json", b'{"a": ', "unreadable"),
        ("metrics.json", b'{"detection": {"snrs": []}}', "detection holds no noise_windows"),
        ("metrics.jsonl", b"\n{\n", "holds no line with a step"),
        ("evaluation.npz", b"PK\x03\x04 truncated", "unreadable"),
        ("traces.npz", b"", "unreadable"),
    ],
)
def test_broken_file_is_named_with_its_reason(
    run_dir: Path, tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    (_copy_without(run_dir, tmp_path) / name).write_bytes(content)
    missing = read_run(tmp_path).missing
    assert len(missing) == 1
    assert missing[0].startswith(f"{name}, ")
    assert reason in missing[0]


def test_array_that_lacks_a_key_is_named(run_dir: Path, tmp_path: Path) -> None:
    np.savez(_copy_without(run_dir, tmp_path) / "evaluation.npz", snrs=np.ones(2))
    assert "arrays noise_scores, signal_scores are not in it" in read_run(tmp_path).missing[0]


def test_figure_of_malformed_arrays_is_named_and_others_stay(run_dir: Path, tmp_path: Path) -> None:
    folder = _detection_only(run_dir, tmp_path)
    np.savez(
        folder / "traces.npz", loud_bridge_spikes=np.ones(5), sample_rate_hz=1, frame_rate_hz=1
    )
    text = _Page(write_report(folder).read_text("utf-8")).text
    assert "could not be drawn (ValueError: trace has shape (5,)" in text
    assert (folder / "figures" / "efficiency.png").exists()


def test_text_of_a_run_cannot_become_markup(run_dir: Path, tmp_path: Path) -> None:
    folder = _detection_only(run_dir, tmp_path)
    (folder / "config.yaml").write_text("name: <script>alert(1)</script>\n")
    page = _Page(write_report(folder).read_text("utf-8"))
    (folder / "config.yaml").write_text("name: harmless\n")
    harmless = _Page(write_report(folder).read_text("utf-8"))
    assert page.scripts == harmless.scripts
    assert "<script>alert(1)</script>" in page.text


def test_command_rebuilds_the_page(
    run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = _detection_only(run_dir, tmp_path)
    assert main([str(folder)]) == 0
    assert capsys.readouterr().out.strip() == str(folder / "report.html")
    assert main([str(tmp_path / "nowhere")]) == 1
    assert "does not exist" in capsys.readouterr().err


def test_reports_need_no_jax_and_no_pyplot() -> None:
    code = (
        "import sys, ligo_cpc_snn.reports.page;"
        "print([m for m in ('jax', 'matplotlib.pyplot') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        cwd=Path(__file__).parents[1],
    )  # fmt: skip
    assert done.stdout.strip() == "[]"
