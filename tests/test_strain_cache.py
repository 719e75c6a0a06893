"""The strain cache: what it keeps, what is deleted first, several processes at once."""

import json
import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.signal
from gwosc_files import RATE, file_name, write_file
from gwosc_server import serving
from igwn_segments import segment, segmentlist

from ligo_cpc_snn.config.data_schema import GwoscConfig
from ligo_cpc_snn.strain.cache import StrainCache, folder_name
from ligo_cpc_snn.strain.files import read_strain
from ligo_cpc_snn.strain.gwosc import fetch_strain
from ligo_cpc_snn.strain.pieces import BrokenPieceError, is_sound, piece, read_piece, usable
from ligo_cpc_snn.strain.pins import pins
from ligo_cpc_snn.strain.room import all_pieces, make_room, strain_bytes, tidy
from ligo_cpc_snn.strain.segments import StrainSegment

SHARED = Path(__file__).parents[2] / "shared" / "data" / "gwosc32"
needs_data = pytest.mark.skipif(not SHARED.is_dir(), reason=f"no folder {SHARED}")
START = 1130000000
URL = "https://gwosc.org/x"


def noise(first: float, seconds: float, detector: str = "H1") -> StrainSegment:
    values = np.random.default_rng(int(first)).standard_normal(round(seconds * RATE))
    return StrainSegment(detector, START + first, RATE, 1e-21 * values, "test")


def span(first: int, last: int) -> segment:
    return segment(START + first, START + last)


@pytest.fixture
def cache(tmp_path: Path) -> StrainCache:
    return StrainCache(tmp_path, "https://gwosc.org", 1.0)


@needs_data
@pytest.mark.parametrize("path", sorted(SHARED.glob("*.hdf5")), ids=lambda path: path.name[2:30])
def test_rounding_to_float32_is_far_below_the_detectors_noise(
    path: Path, cache: StrainCache
) -> None:
    (segment_,) = read_strain(path)
    whole = segment(int(segment_.gps_start), int(segment_.gps_end))
    written = cache.store(segment_.detector, whole, [segment_], URL)
    (back,) = read_piece(written)
    frequencies, noise_power = scipy.signal.welch(segment_.strain, RATE, nperseg=4 * RATE)
    _, lost_power = scipy.signal.welch(back.strain - segment_.strain, RATE, nperseg=4 * RATE)
    band = (frequencies >= 20) & (frequencies <= 1700)
    ratio = np.sqrt(lost_power[band] / noise_power[band]).max()
    assert 0 < ratio < 5e-4  # measured: 2.1e-4 or less, of the amplitude density
    assert written.path.stat().st_size < 0.9 * 4 * segment_.strain.size


def test_gives_back_what_was_stored_to_the_sample(cache: StrainCache) -> None:
    parts = [noise(0.25, 3.5), noise(5, 3)]
    written = cache.store("H1", span(0, 8), parts, URL)
    back = read_piece(written)
    assert [(s.gps_start, s.strain.size) for s in back] == [
        (START + 0.25, 3.5 * RATE),
        (START + 5, 3 * RATE),
    ]
    np.testing.assert_allclose(back[0].strain, parts[0].strain, rtol=6e-8)
    assert usable(written) == segmentlist(
        [segment(START + 0.25, START + 3.75), segment(START + 5, START + 8)]
    )
    assert cache.known("H1", segmentlist([span(-5, 50)])) == segmentlist([span(0, 8)])
    assert cache.known("L1", segmentlist([span(-5, 50)])) == segmentlist()


def test_overlapping_files_give_each_second_once(cache: StrainCache) -> None:
    whole = noise(0, 12)
    cache.store("H1", span(0, 8), [whole], URL)
    cache.store("H1", span(4, 12), [whole], URL)
    (segment_,) = cache.read("H1", segmentlist([span(2, 11)]))
    assert (segment_.gps_start, segment_.duration) == (START + 2, 9)
    np.testing.assert_allclose(segment_.strain, whole.strain[2 * RATE : 11 * RATE], rtol=6e-8)


def test_a_name_carries_the_hash_of_the_bytes(cache: StrainCache) -> None:
    written = cache.store("H1", span(0, 4), [noise(0, 4)], URL)
    assert written == piece(written.path)
    assert is_sound(written)
    with h5py.File(written.path, "r") as file:
        assert file.attrs["source"] == URL
        assert next(iter(file.values())).dtype == np.float32


@pytest.mark.parametrize("change", ["a bit", "half", "nothing left", "longer"])
def test_any_change_is_found_and_never_used(
    change: str, cache: StrainCache, caplog: pytest.LogCaptureFixture
) -> None:
    written = cache.store("H1", span(0, 4), [noise(0, 4)], URL)
    body = written.path.read_bytes()
    bit = bytes([body[1000] ^ 1])
    changed = {
        "a bit": body[:1000] + bit + body[1001:],
        "half": body[: len(body) // 2],
        "nothing left": b"",
        "longer": body + b"\0",
    }[change]
    written.path.write_bytes(changed)
    assert not is_sound(written)
    with pytest.raises(BrokenPieceError, match="SHA-256"):
        read_piece(written)
    with caplog.at_level(logging.WARNING):
        assert cache.known("H1", segmentlist([span(0, 4)])) == segmentlist()
    assert str(written.path) in caplog.text
    assert not written.path.exists()


def test_a_file_that_breaks_between_check_and_reading_is_fetched_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "archive").mkdir()
    write_file(tmp_path / "archive", "H1", START)
    read, broken = StrainCache.read, []

    def break_first(self: StrainCache, *args: object) -> list[StrainSegment]:
        if not broken:
            broken.extend(all_pieces(self.root))
            broken[0].path.write_bytes(b"")
        return read(self, *args)

    monkeypatch.setattr(StrainCache, "read", break_first)
    with serving(tmp_path / "archive", {}) as server:
        cfg = GwoscConfig(host=server.url, start=START, end=START + 16)
        (segment_,) = fetch_strain(cfg, ["H1"], tmp_path / "cache")
        assert server.fetched == 2 * [file_name("H1", START, 16)]
    assert segment_.duration == 16


def test_the_least_recently_used_go_first(cache: StrainCache) -> None:
    written = [cache.store("H1", span(n, n + 4), [noise(n, 4)], URL) for n in (0, 4, 8, 12)]
    for age, one in zip((40, 30, 20, 10), written, strict=True):
        os.utime(one.path, (time.time() - age, time.time() - age))
    cache.known("H1", segmentlist([span(0, 4)]))  # uses the oldest
    size = written[0].path.stat().st_size
    deleted = make_room(cache.root, 2.5 * size)
    assert deleted == [written[1].path, written[2].path]
    assert strain_bytes(cache.root) <= 2.5 * size
    assert make_room(cache.root, 2.5 * size) == []


def test_what_running_requests_need_is_never_deleted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache = StrainCache(tmp_path, "https://gwosc.org", 1e-5)  # 10 kB
    with cache.in_use({"H1": segmentlist([span(0, 8)])}):
        assert pins(cache.folder) == {"H1": segmentlist([span(0, 8)])}
        with caplog.at_level(logging.WARNING):
            cache.store("H1", span(0, 4), [noise(0, 4)], URL)
            cache.store("H1", span(4, 8), [noise(4, 4)], URL)
        cache.store("L1", span(0, 4), [noise(0, 4, "L1")], URL)
        assert [p.start - START for p in all_pieces(tmp_path)] == [0, 4]
    assert "above its limit of 1e-05 GB: the running requests need" in caplog.text
    cache.make_room()
    assert all_pieces(tmp_path) == []


def test_the_pins_of_a_killed_process_are_forgotten(cache: StrainCache) -> None:
    script = (
        "import os, sys; from igwn_segments import *; from pathlib import Path\n"
        "from ligo_cpc_snn.strain.pins import pinned\n"
        "with pinned(Path(sys.argv[1]), {'H1': segmentlist([segment(0, 9)])}):\n"
        "    print('pinned', flush=True); sys.stdin.read()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(cache.folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "pinned\n"
        assert pins(cache.folder) == {"H1": segmentlist([segment(0, 9)])}
        process.kill()
    assert len(list((cache.folder / "in-use").glob("*.json"))) == 1
    assert pins(cache.folder) == {}
    assert list((cache.folder / "in-use").iterdir()) == []


def test_processes_at_once_share_downloads_and_leave_sound_files(tmp_path: Path) -> None:
    (tmp_path / "archive").mkdir()
    for first in range(0, 64, 16):
        write_file(tmp_path / "archive", "H1", START + first)
    script = (
        "import json, sys; from ligo_cpc_snn.config.data_schema import GwoscConfig\n"
        "from ligo_cpc_snn.strain.gwosc import fetch_strain\n"
        "cfg = GwoscConfig(host=sys.argv[1], start=int(sys.argv[3]), end=int(sys.argv[4]))\n"
        "found = fetch_strain(cfg, ['H1'], sys.argv[2])\n"
        "print(json.dumps([(s.gps_start, s.duration, s.strain.std()) for s in found]))\n"
    )
    asked = [(0, 64), (0, 64), (8, 40)]
    with serving(tmp_path / "archive", {}) as server:
        command = [sys.executable, "-c", script, server.url, str(tmp_path / "cache")]
        processes = [
            subprocess.Popen(
                [*command, str(START + first), str(START + last)],
                stdout=subprocess.PIPE,
                text=True,
            )
            for first, last in asked
        ]
        answers = [process.communicate(timeout=120)[0] for process in processes]
        fetched = sorted(server.fetched)
    for (first, last), answer in zip(asked, answers, strict=True):
        ((start, seconds, deviation),) = json.loads(answer)
        assert (start, seconds) == (START + first, last - first)
        assert deviation == pytest.approx(1e-21, rel=0.02)
    # A process that asks for less than another of a file may be first: then both come.
    assert set(fetched) == {file_name("H1", START + n, 16) for n in range(0, 64, 16)}
    assert len(fetched) <= 6
    pieces = all_pieces(tmp_path / "cache" / "strain")
    assert all(is_sound(p) for p in pieces)
    assert not list((tmp_path / "cache").rglob("*.new"))
    assert not list((tmp_path / "cache").rglob("*.part"))


def test_unfinished_files_that_nobody_continues_are_deleted(cache: StrainCache) -> None:
    part = cache.incoming / "H1-1-2-abc.part"
    part.write_bytes(b"x")
    assert tidy(cache.root) == []
    os.utime(part, (0, 0))
    with cache.source_lock("H1-1-2-abc"):
        assert tidy(cache.root) == []  # a process works on it
    assert tidy(cache.root) == [part]


@pytest.mark.parametrize("host", ["https://gwosc.org", "http://127.0.0.1:8000/", "https://../x"])
def test_servers_have_folders_of_their_own(host: str) -> None:
    name = folder_name(host)
    assert name in {"gwosc.org", "127.0.0.1-8000", "x"}


def test_other_files_are_left_alone(cache: StrainCache) -> None:
    for name in ("notes.txt", "H1-12-3.hdf5", "H1-1-2-" + 64 * "g" + ".hdf5"):
        (cache.folder / name).write_text("mine")
    assert all_pieces(cache.root) == []
    make_room(cache.root, 0.0)
    assert (cache.folder / "notes.txt").exists()
