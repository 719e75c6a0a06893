"""`ligo-search --follow`: files that arrive in any way, triggers as they are completed."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st
from small_detector import NAMES, RATE, noise, part, small_detector

from ligo_cpc_snn.errors import UserError
from ligo_cpc_snn.search.live import LiveSearch
from ligo_cpc_snn.search.stream import Statistic
from ligo_cpc_snn.search.triggers import find_triggers
from ligo_cpc_snn.search.weights import save_detector
from ligo_cpc_snn.strain.segments import StrainSegment
from ligo_cpc_snn.wiring import follow_files, follow_strain
from ligo_cpc_snn.wiring.follow_files import Record, Watched
from ligo_cpc_snn.wiring.follow_strain import LiveTriggers, Pool

THRESHOLD, FILE_SECONDS = 0.0, 4


def write(folder: Path, segment: StrainSegment) -> Path:
    """Write a file beside its name and rename it into place."""
    path = folder / f"{segment.detector[0]}-{segment.detector}_X-{segment.gps_start:.0f}-4.hdf5"
    partial = folder / f".{path.name}"
    with h5py.File(partial, "w") as file:
        dataset = file.create_dataset(segment.detector + "/strain_0", data=segment.strain)
        dataset.attrs.update({"x0": segment.gps_start, "dx": 1 / segment.sample_rate_hz})
    return partial.rename(path)


def pieces(seconds: float, gps: float, seed: int = 0):
    whole, size = noise(seconds, gps, seed), FILE_SECONDS * RATE
    return [part(whole, i, i + size) for i in range(0, round(seconds * RATE), size)]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 300), max_size=12), st.integers(0, 300))
def test_triggers_do_not_depend_on_the_pieces(seed, cuts, gap) -> None:
    """Frames in any pieces, with a gap somewhere, give the triggers of all of them at once."""
    rng = np.random.default_rng(seed)
    gps = 1e9 + 0.03125 * np.arange(300) + 5.0 * (np.arange(300) >= gap)
    value = rng.normal(size=300).astype(np.float32)
    how = {"threshold": 0.5, "cluster_seconds": 0.3, "time_offset_seconds": 0.1}
    live = LiveTriggers(**how, frame_seconds=0.03125)
    edges = sorted({0, 300, gap, *cuts})
    told = [live.feed(Statistic(gps[a:b], value[a:b])) for a, b in pairwise(edges)]
    # One frame long after the last decides it all.
    told.append(live.feed(Statistic(gps[-1:] + 100, np.full(1, -9.0, np.float32))))
    expected = find_triggers(gps, value, **how)
    np.testing.assert_array_equal(np.concatenate([t.gps for t in told]), expected.gps)
    np.testing.assert_array_equal(np.concatenate([t.statistic for t in told]), expected.statistic)


def test_detectors_may_arrive_in_any_order_and_late() -> None:
    first, second = pieces(8, 1000.0)
    pool = Pool(NAMES)
    pool.add([first["H1"], second["L1"]])
    assert list(pool.take()) == []
    pool.add([second["H1"]])
    assert list(pool.take()) == []  # L1's first file may still come
    pool.add([first["L1"]])
    (both,) = pool.take()
    assert [(s.gps_start, s.gps_end) for s in both.values()] == [(1000.0, 1008.0)] * 2
    np.testing.assert_array_equal(both["L1"].strain[:1024], first["L1"].strain)


def test_what_is_missing_becomes_a_gap_after_a_while(monkeypatch, caplog) -> None:
    first, second, third = pieces(12, 1000.0)
    pool = Pool(NAMES)
    pool.add([*first.values(), second["H1"], *third.values()])
    assert [p["H1"].gps_start for p in pool.take()] == [1000.0]
    monkeypatch.setattr(follow_strain, "WAIT_SECONDS", 0.0)
    assert [p["H1"].gps_start for p in pool.take()] == [1008.0]
    pool.add([second["L1"]])
    assert "4.000 s of L1 come after later strain was searched, left out" in caplog.text
    assert list(pool.take()) == []


def test_a_file_is_taken_once_and_when_it_is_whole(tmp_path, monkeypatch, caplog) -> None:
    (both,) = pieces(4, 1000000000.0)
    watched = Watched(tmp_path, NAMES, {}, [])
    path = write(tmp_path, both["H1"])
    body = path.read_bytes()
    path.write_bytes(body[:5000])
    assert [watched.poll(), watched.poll(), watched.poll()] == [[], [], []]
    path.write_bytes(body)
    assert watched.poll() == []  # it has just changed
    (arrival,) = watched.poll()
    assert (arrival.path, [s.gps_start for s in arrival.strain]) == (path, [1000000000.0])
    assert watched.poll() == []
    again = Watched(tmp_path, NAMES, {path.name: arrival.stamp}, [])
    assert [again.poll(), again.poll()] == [[], []]
    monkeypatch.setattr(follow_files, "PATIENCE_SECONDS", 0.0)
    path.write_bytes(body[:5000])
    watched.poll()
    (broken,) = watched.poll()
    assert broken.strain == []
    assert "left out until it changes" in caplog.text


def test_a_full_folder_is_taken_in_the_order_of_time(tmp_path) -> None:
    for both in pieces(20, 1000000000.0):
        for segment in both.values():
            write(tmp_path, segment)
    watched = Watched(tmp_path, NAMES, {}, [])
    watched.poll()
    taken = [watched.poll(), watched.poll(), watched.poll()]
    assert [len(arrivals) for arrivals in taken] == [8, 2, 0]
    starts = [a.strain[0].gps_start - 1e9 for arrivals in taken for a in arrivals]
    assert starts == [0, 0, 4, 4, 8, 8, 12, 12, 16, 16]


def test_record_survives_a_broken_last_line(tmp_path, caplog) -> None:
    (both,) = pieces(4, 1000000000.0)
    write(tmp_path, both["H1"])
    watched = Watched(tmp_path, NAMES, {}, [])
    watched.poll()
    (arrival,) = watched.poll()
    Record(tmp_path).add({"a": arrival, "b": arrival}, 1000000003.5)
    file = tmp_path / follow_files.RECORD
    file.write_bytes(file.read_bytes()[:-20])
    record = Record(tmp_path)
    assert record.done == {"a": arrival.stamp}
    assert (record.told_until, record.since(1000000003.9)) == (1000000003.5, ["a"])
    assert "a line is broken" in caplog.text


def test_a_folder_that_is_not_there_is_said(tmp_path) -> None:
    with pytest.raises(UserError, match="there is no such folder"):
        Watched(tmp_path / "absent", NAMES, {}, [])


class Follow:
    """A following process, and what it wrote."""

    def __init__(self, folder: Path) -> None:
        arguments = ["--detector", "small.safetensors", "--follow", "in", "--output", "out"]
        arguments += ["psd_seconds=16", f"triggers.threshold={THRESHOLD}"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ligo_cpc_snn.search", *arguments],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"LIGO_CACHE_DIR": str(folder / "cache"), "LIGO_PLATFORM": "cpu"},
        )
        self.lines: list[str] = []
        self.said: list[str] = []
        self.readers = [
            threading.Thread(target=self._read, args=pair)
            for pair in ((self.process.stdout, self.lines), (self.process.stderr, self.said))
        ]
        for reader in self.readers:
            reader.start()

    @staticmethod
    def _read(stream, lines: list[str]) -> None:
        with stream:
            lines.extend(stream)

    def until(self, condition, seconds: float = 120.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, "".join(self.said)
            assert time.monotonic() < deadline, "".join(self.said)
            time.sleep(0.02)

    def end(self, number: signal.Signals) -> None:
        self.process.send_signal(number)
        code = self.process.wait(60)
        for reader in self.readers:
            reader.join()
        assert code == (-number if number == signal.SIGKILL else 0), "".join(self.said)


@pytest.fixture
def follow(tmp_path):
    """A function that starts to follow; what still runs at the end is killed."""
    started: list[Follow] = []

    def start() -> Follow:
        started.append(Follow(tmp_path))
        started[-1].until(lambda: any("following in" in line for line in started[-1].said))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.end(signal.SIGKILL)


@pytest.mark.slow
def test_triggers_come_as_files_arrive_and_a_restart_goes_on(tmp_path, follow) -> None:
    """Two processes, one after the other, tell what one search of all the strain tells."""
    detector = small_detector()
    detector = replace(detector, params=nnx.to_pure_dict(detector.params))
    save_detector(tmp_path / "small.safetensors", detector)
    folder = tmp_path / "in"
    folder.mkdir()
    strain = noise(40.0, 1000000000.0)
    parts = [part(strain, i, i + 4 * RATE) for i in range(0, 40 * RATE, 4 * RATE)]

    def drop(some) -> None:
        for both in some:
            for segment in both.values():
                write(folder, segment)
            time.sleep(0.1)

    def searched(process: Follow, files: int) -> None:
        record = tmp_path / "out" / follow_files.RECORD
        process.until(lambda: record.exists() and record.read_text().count('"file"') == files)

    process = follow()
    thread = threading.Thread(target=drop, args=(parts[:6],))
    thread.start()
    searched(process, 12)
    thread.join()
    process.end(signal.SIGTERM)
    first = [json.loads(line) for line in process.lines]
    drop(parts[6:7])  # while nobody looks
    process = follow()
    assert any("continuing after GPS 10000000" in line for line in process.said)
    drop(parts[7:])
    searched(process, 20)
    process.end(signal.SIGINT)
    told = first + [json.loads(line) for line in process.lines]

    live = LiveSearch(detector, 16.0).feed(strain)
    how = {"threshold": THRESHOLD, "cluster_seconds": 0.3}
    expected = find_triggers(live.gps, live.value, **how)
    assert len(first) > 5
    times = np.array([line["time"] for line in told])
    # Of the second process the PSD begins with 16 s of the past, so numbers differ a little.
    before = expected.gps < first[-1]["time"] + 0.001
    np.testing.assert_allclose(times[: len(first)], expected.gps[before], atol=1e-4)
    assert all(np.diff(times) > 0)
    assert times[len(first)] - times[len(first) - 1] < 2.0
    assert times[-1] > 1000000038.0
    assert first[-1]["detector"] == "small"
    assert first[-1]["file"].startswith("H-H1_X-10000000")
    # Told at the end of a process, before the strain had come that would have decided it.
    waiting = [line for line in told if line["latency_seconds"] is None]
    assert all(line in (first[-1], told[-1]) for line in waiting)
    assert all(line["latency_seconds"] >= 0 for line in told if line not in waiting)
    assert all(line["latency_from_peak_file_seconds"] >= 0 for line in told)
    written = (tmp_path / "out" / "triggers.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in written] == told
