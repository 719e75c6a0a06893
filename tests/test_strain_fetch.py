"""What is fetched: only what is missing, each file once, usable seconds only, resumed."""

import io
import json
import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from gwosc.api import v2
from gwosc_files import RATE, file_name, write_file
from gwosc_server import Fault, GwoscServer, serving
from rich.console import Console

from ligo_cpc_snn.config.data_schema import GwoscConfig
from ligo_cpc_snn.strain import download
from ligo_cpc_snn.strain.errors import GwoscError
from ligo_cpc_snn.strain.gwosc import fetch_strain
from ligo_cpc_snn.strain.pieces import is_sound
from ligo_cpc_snn.strain.progress import DownloadProgress
from ligo_cpc_snn.strain.room import all_pieces
from ligo_cpc_snn.strain.segments import StrainSegment

START = 1130000000
NO_CAT2, NO_CBC, NO_CW = 127 - 4, 31 - 1, 31 - 8


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GwoscServer]:
    """Serve H1 and L1 from START to START + 48 in three files, then a gap, then 16 s of H1."""
    (tmp_path / "archive").mkdir()
    for detector in ("H1", "L1"):
        for first in (0, 16, 32):
            write_file(tmp_path / "archive", detector, START + first)
    write_file(tmp_path / "archive", "H1", START + 64)
    with serving(tmp_path / "archive", {"GWTEST": START + 8.4}) as served:
        yield served


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "FIRST_WAIT_SECONDS", 0.01)
    monkeypatch.setattr(v2, "JSON_CACHE", {})


def fetch(
    server: GwoscServer, tmp_path: Path, first: int, last: int, names: str = "H1", **more: object
) -> list[StrainSegment]:
    cfg = GwoscConfig(host=server.url, start=START + first, end=START + last, **more)
    return fetch_strain(cfg, names.split(), tmp_path / "cache")


def spans(segments: list[StrainSegment]) -> list[tuple[float, float]]:
    return [(s.gps_start - START, s.gps_end - START) for s in segments]


def test_files_are_joined_and_cut_to_the_seconds_asked_for(
    server: GwoscServer, tmp_path: Path
) -> None:
    segments = fetch(server, tmp_path, 4, 40, "H1 L1")
    assert [s.detector for s in segments] == ["H1", "L1"]
    assert spans(segments) == [(4, 40), (4, 40)]
    draws = [np.random.default_rng([START + n, *b"H1"]) for n in (0, 16, 32)]
    whole = np.concatenate([1e-21 * draw.standard_normal(16 * RATE) for draw in draws])
    np.testing.assert_allclose(segments[0].strain, whole[4 * RATE : 40 * RATE], rtol=1e-7)


def test_a_second_run_asks_nothing(server: GwoscServer, tmp_path: Path) -> None:
    first = fetch(server, tmp_path, 0, 96)  # with a gap from 48 to 64 and nothing after 80
    assert spans(first) == [(0, 48), (64, 80)]
    server.requests.clear()
    second = fetch(server, tmp_path, 0, 96)
    assert server.requests == []
    assert spans(second) == spans(first)
    assert spans(fetch(server, tmp_path, 10, 70, offline=True)) == [(10, 48), (64, 70)]


def test_only_what_is_missing_is_fetched_and_each_file_once(
    server: GwoscServer, tmp_path: Path
) -> None:
    fetch(server, tmp_path, 0, 16)
    server.requests.clear()
    fetch(server, tmp_path, 8, 40)
    assert sorted(server.fetched) == [file_name("H1", START + n, 16) for n in (16, 32)]
    server.requests.clear()
    fetch(server, tmp_path, 0, 48)  # 8 s of a file that was cut before
    assert server.fetched == [file_name("H1", START + 32, 16)]
    kept = sorted((p.start - START, p.seconds) for p in all_pieces(tmp_path / "cache" / "strain"))
    assert kept == [(0, 16), (16, 16), (32, 8), (40, 8)]


def test_a_file_that_several_spans_need_is_downloaded_once(
    server: GwoscServer, tmp_path: Path
) -> None:
    segments = fetch(server, tmp_path, 12, 15, events=["GWTEST"], event_seconds=4.0)
    assert server.fetched == [file_name("H1", START, 16)]
    assert spans(segments) == [(7, 11), (12, 15)]
    assert len(all_pieces(tmp_path / "cache" / "strain")) == 2


def test_quality_bits_and_injections_end_segments(server: GwoscServer, tmp_path: Path) -> None:
    bad = {3: NO_CAT2, 9: 127 - 8, 12: 127 - 16}  # CAT2, CAT3, and a burst flag
    injected = {5: NO_CBC & NO_CW, 11: NO_CW}  # a CBC injection, and only a pulsar
    write_file(server.folder, "H1", START, quality=bad, injections=injected)
    found = [(0, 3), (4, 5), (6, 9), (10, 16)]
    assert spans(fetch(server, tmp_path, 0, 16)) == found
    server.requests.clear()
    assert spans(fetch(server, tmp_path, 0, 16)) == found
    assert server.requests == []  # that the rest is bad is known


def test_time_without_any_usable_strain_is_an_error(server: GwoscServer, tmp_path: Path) -> None:
    write_file(server.folder, "H1", START, quality=dict.fromkeys(range(16), 0))
    for asked in (True, False):
        server.requests.clear()
        with pytest.raises(GwoscError, match="no usable strain of H1 in 16 s"):
            fetch(server, tmp_path, 0, 16)
        assert bool(server.requests) == asked


def test_an_interrupted_download_is_continued_by_the_next_process(
    server: GwoscServer, tmp_path: Path
) -> None:
    name = file_name("H1", START, 16)
    server.faults[name] = [Fault(drop=100_000)]
    with pytest.raises(GwoscError, match="kept and continued"):
        fetch(server, tmp_path, 0, 16, retries=1)
    (part,) = (tmp_path / "cache" / "strain").rglob("*.part")
    have = part.stat().st_size
    assert have > 160_000
    server.faults.clear()
    server.ranges.clear()
    (segment,) = fetch(server, tmp_path, 0, 16)
    assert server.ranges == [f"bytes={have}-"]
    assert segment.strain.size == 16 * RATE
    assert not list((tmp_path / "cache" / "strain").rglob("*.part"))


def test_a_part_whose_version_is_not_known_is_begun_anew(
    server: GwoscServer, tmp_path: Path
) -> None:
    server.faults[file_name("H1", START, 16)] = [Fault(drop=100_000)]
    with pytest.raises(GwoscError):
        fetch(server, tmp_path, 0, 16, retries=1)
    (note,) = (tmp_path / "cache" / "strain").rglob("incoming/*.json")
    note.write_text("{")
    server.faults.clear()
    server.ranges.clear()
    fetch(server, tmp_path, 0, 16)
    assert server.ranges == [None]


def test_without_etag_the_length_decides(server: GwoscServer, tmp_path: Path) -> None:
    server.etags = False
    name = file_name("H1", START, 16)
    server.faults[name] = [Fault(drop=100_000, times=1)]
    fetch(server, tmp_path, 0, 16)
    assert server.ranges[1] is not None  # continued
    server.faults[file_name("H1", START + 16, 16)] = [Fault(drop=100_000)]
    with pytest.raises(GwoscError):
        fetch(server, tmp_path, 16, 32, retries=1)
    server.faults.clear()
    write_file(server.folder, "H1", START + 16, strain=np.linspace(0, 1e-21, 16 * RATE))
    (segment,) = fetch(server, tmp_path, 16, 32)  # another length: nothing is glued together
    np.testing.assert_allclose(segment.strain, np.linspace(0, 1e-21, 16 * RATE), rtol=1e-7)


def test_a_continuation_with_other_bytes_is_thrown_away(
    server: GwoscServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server.faults[file_name("H1", START, 16)] = [
        Fault(drop=100_000, times=1),
        Fault(shift=-5000, times=1),
    ]
    (segment_,) = fetch(server, tmp_path, 0, 16)
    assert [asked is None for asked in server.ranges] == [True, False, True]
    assert "continued with other bytes than asked for, begun anew" in caplog.text
    expected = 1e-21 * np.random.default_rng([START, *b"H1"]).standard_normal(16 * RATE)
    np.testing.assert_allclose(segment_.strain, expected, rtol=1e-7)


def test_progress_between_failures_does_not_use_up_retries(
    server: GwoscServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "PROGRESS_BYTES", 50_000)
    server.faults[file_name("H1", START, 16)] = [Fault(drop=100_000)]
    assert spans(fetch(server, tmp_path, 0, 16, retries=1)) == [(0, 16)]


def test_downloads_run_in_parallel(server: GwoscServer, tmp_path: Path) -> None:
    server.hold = threading.Event()
    names = [file_name("H1", START + n, 16) for n in (0, 16, 32)]

    def release_when_all_have_asked() -> None:
        while len(server.fetched) < 3:
            threading.Event().wait(0.01)
        server.hold.set()

    threading.Thread(target=release_when_all_have_asked, daemon=True).start()
    fetch(server, tmp_path, 0, 48, parallel=3)
    assert sorted(server.fetched) == names
    assert not server.held_in_vain


def test_offline_names_what_is_missing_and_the_command(server: GwoscServer, tmp_path: Path) -> None:
    fetch(server, tmp_path, 0, 16)
    server.requests.clear()
    with pytest.raises(GwoscError) as error:
        fetch(server, tmp_path, 0, 40, "H1 L1", offline=True)
    message = str(error.value)
    assert f"H1 24 s (GPS {START + 16}-{START + 40})" in message
    assert f"L1 40 s (GPS {START}-{START + 40})" in message
    assert f"fetch --detectors H1 --start {START + 16} --end {START + 40}" in message
    assert server.requests == []


def test_an_altered_file_is_found_said_and_fetched_again(
    server: GwoscServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (sound,) = fetch(server, tmp_path, 0, 16)
    (piece,) = all_pieces(tmp_path / "cache" / "strain")
    body = bytearray(piece.path.read_bytes())
    body[len(body) // 2] ^= 1
    piece.path.write_bytes(body)
    with pytest.raises(GwoscError, match="lacks H1 16 s"):
        fetch(server, tmp_path, 0, 16, offline=True)
    piece.path.write_bytes(body)
    with caplog.at_level(logging.WARNING):
        (again,) = fetch(server, tmp_path, 0, 16)
    assert "not as it was written (its SHA-256 differs); deleted, to be fetched" in caplog.text
    np.testing.assert_array_equal(again.strain, sound.strain)
    assert all(is_sound(p) for p in all_pieces(tmp_path / "cache" / "strain"))


def test_an_absence_is_asked_about_again_after_a_month(
    server: GwoscServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert spans(fetch(server, tmp_path, 32, 64)) == [(32, 48)]
    write_file(server.folder, "H1", START + 48)
    assert spans(fetch(server, tmp_path, 32, 64)) == [(32, 48)]
    monkeypatch.setattr("ligo_cpc_snn.strain.cache.ABSENCE_SECONDS", -1.0)
    v2.JSON_CACHE.clear()
    assert spans(fetch(server, tmp_path, 32, 64)) == [(32, 64)]


def test_the_progress_lines_tell_rate(
    server: GwoscServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        fetch(server, tmp_path, 0, 48)
    assert "H1: 48 s to fetch" in caplog.text
    assert "GWOSC: 3 of 3 files, 1.6 MB" in caplog.text
    assert "MB/s" in caplog.text


def test_a_terminal_shows_a_bar_with_rate_and_time_left() -> None:
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True, width=120)
    with DownloadProgress(4, console) as progress:
        progress.add("a", 0, 10_000_000)
        for _ in range(50):
            progress.add("a", 100_000, None)
        assert progress.total == 40_000_000  # the others are thought to be as long
        progress.finished()
        progress.add("b", 0, 10_100_000)
        assert progress.total == 40_200_000
        time.sleep(0.2)  # two frames of the bar
        progress.add("b", 100_000, None)
        time.sleep(0.2)
        progress.add("a", 0, 10_000_000)  # begun anew: 5 MB were in vain
        assert progress.total == 50_200_000
    assert "GWOSC: 1 of 4 files" in shown.getvalue()
    assert "5.1/50.2 MB" in shown.getvalue()
    assert "MB/s" in shown.getvalue()


def test_the_note_beside_a_part_names_its_version(server: GwoscServer, tmp_path: Path) -> None:
    server.faults[file_name("H1", START, 16)] = [Fault(drop=100_000)]
    with pytest.raises(GwoscError):
        fetch(server, tmp_path, 0, 16, retries=1)
    (note,) = (tmp_path / "cache" / "strain").rglob("incoming/*.json")
    version = json.loads(note.read_text())
    assert version["length"] == (server.folder / file_name("H1", START, 16)).stat().st_size
    assert version["etag"].startswith('"')
