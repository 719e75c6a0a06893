"""`ligo-search --follow`: each trigger is told once, with honest latencies, and none is lost."""

import json
import time
from pathlib import Path

import numpy as np
import pytest
from small_detector import noise, part, small_detector

from ligo_cpc_snn.config.search_schema import SearchConfig, TriggerConfig
from ligo_cpc_snn.search.live import LiveSearch
from ligo_cpc_snn.search.stream import Statistic
from ligo_cpc_snn.search.triggers import Peaks
from ligo_cpc_snn.strain.segments import StrainSegment
from ligo_cpc_snn.wiring import follow as following
from ligo_cpc_snn.wiring.follow import Follower
from ligo_cpc_snn.wiring.follow_files import RECORD, Arrival, Record, Stamp
from ligo_cpc_snn.wiring.follow_told import Told
from ligo_cpc_snn.wiring.search_identity import OtherSearchError, claim_followed

FRAME = 0.03125  # s


def arrival(start: float, end: float, arrived: float, *names: str) -> Arrival:
    rng = np.random.default_rng(round(start))
    strain = [
        StrainSegment(name, start, 16, rng.normal(size=round(16 * (end - start))), "simulated")
        for name in names or ("H1", "L1")
    ]
    return Arrival(Path(f"{start:.0f}.hdf5"), Stamp(1, 1), strain, arrived)


def peaks(*gps: float) -> Peaks:
    return Peaks(np.array(gps), np.ones(len(gps)), np.arange(len(gps)))


class Live:
    """Stands for the network: tells a louder frame in the middle of what it is fed."""

    made = 0

    def __init__(self, *_) -> None:
        Live.made += 1
        self.resets = 0

    def feed(self, strain) -> Statistic:
        first = strain["H1"]
        if first.gps_start == 1008.0:
            raise ValueError("strain is constant")
        gps = first.gps_start + FRAME * np.arange(1, 1 + round(first.duration / FRAME))
        value = np.full(gps.size, -1.0, np.float32)
        value[gps.size - 3] = 2.0
        return Statistic(gps, value)

    def reset(self) -> None:
        self.resets += 1


@pytest.fixture
def follower(tmp_path, monkeypatch):
    """A function that makes a follower, as a process that starts would."""
    monkeypatch.setattr(following, "LiveSearch", Live)
    detector = small_detector()
    cfg = SearchConfig(triggers=TriggerConfig(threshold=0.0), psd_seconds=4.0)

    def start(told_until: float = 0.0) -> Follower:
        return Follower(cfg, detector, tmp_path / "triggers.jsonl", told_until)

    return start


def times(folder: Path) -> list[float]:
    lines = (folder / "triggers.jsonl").read_text().splitlines()
    return [json.loads(line)["time"] for line in lines]


def test_latencies_are_counted_from_the_files_that_a_trigger_needed(tmp_path) -> None:
    told, now = Told(tmp_path / "t.jsonl", "small", 1.3, 0.0), time.time()
    told.arrivals.add([arrival(1000, 1004, now - 30), arrival(1004, 1008, now - 20, "H1")])
    told.arrivals.add([arrival(1004, 1008, now - 15, "L1"), arrival(1008, 1012, now - 5)])
    told.tell(peaks(1001.0, 1003.5, 1011.0))
    lines = (tmp_path / "t.jsonl").read_text().splitlines()
    early, late, pending = (json.loads(line) for line in lines)
    # Its own file was enough, whatever came later; the next one was not, L1's came last.
    assert early["latency_seconds"] == pytest.approx(30, abs=2)
    assert late["latency_seconds"] == pytest.approx(15, abs=2)
    assert late["latency_from_peak_file_seconds"] == pytest.approx(30, abs=2)
    assert (late["file"], pending["file"]) == ("1000.hdf5", "1008.hdf5")
    assert pending["latency_seconds"] is None
    assert pending["latency_from_peak_file_seconds"] == pytest.approx(5, abs=2)


def test_what_waits_is_told_at_the_end_and_not_again_after_it(tmp_path, follower) -> None:
    first = follower()
    first.take([arrival(1000, 1004, 0.0)])
    assert not (tmp_path / "triggers.jsonl").exists()  # something louder may follow
    first.flush()
    assert times(tmp_path) == [pytest.approx(1003.9375, abs=FRAME)]
    # As a process that was killed before it could write its record.
    again = follower(told_until=1002.0)
    again.take([arrival(1000, 1004, 0.0), arrival(1004, 1008, 0.0)])
    again.flush()
    assert times(tmp_path) == [pytest.approx(t, abs=FRAME) for t in (1003.9375, 1007.9375)]


def test_a_broken_last_line_is_cut_off_and_told_again(tmp_path, follower, caplog) -> None:
    first = follower()
    first.take([arrival(1000, 1004, 0.0), arrival(1004, 1008, 0.0)])
    first.flush()
    file = tmp_path / "triggers.jsonl"
    before = times(tmp_path)
    file.write_bytes(file.read_bytes()[:-9])
    again = follower()
    again.take([arrival(1000, 1004, 0.0), arrival(1004, 1008, 0.0)])
    again.flush()
    assert times(tmp_path) == before
    assert "is told again" in caplog.text


def test_a_bad_stretch_becomes_a_gap_and_compiles_nothing(tmp_path, follower, caplog) -> None:
    Live.made = 0
    one = follower()
    for start in (1000, 1004, 1008, 1012):
        one.take([arrival(start, start + 4, 0.0)])
    one.flush()
    assert (Live.made, one.live.resets) == (1, 1)
    assert "GPS 1008.000 left out: strain is constant" in caplog.text
    expected = [pytest.approx(t + 3.9375, abs=FRAME) for t in (1000, 1004, 1012)]
    assert times(tmp_path) == expected


def test_after_a_reset_strain_begins_anew() -> None:
    live, strain = LiveSearch(small_detector(), 8.0), noise(12.0)
    expected = live.feed(strain)
    live.reset()
    again = live.feed(part(strain, 0, 12 * 256))
    np.testing.assert_array_equal(again.gps, expected.gps)
    np.testing.assert_array_equal(again.value, expected.value)


def test_the_record_notes_what_was_told_without_new_files(tmp_path) -> None:
    record = Record(tmp_path)
    record.add({"a": arrival(1000, 1004, 0.0)}, 1002.0)
    record.add({}, 1002.0)
    record.add({}, 1003.5)
    text = (tmp_path / RECORD).read_text()
    assert text.count("\n") == 2
    assert (Record(tmp_path).told_until, set(Record(tmp_path).done)) == (1003.5, {"a"})
    (tmp_path / RECORD).write_text(text[:-5])
    Record(tmp_path).add({"b": arrival(1004, 1008, 0.0)}, 1006.0)
    assert (Record(tmp_path).told_until, set(Record(tmp_path).done)) == (1006.0, {"a", "b"})


def test_another_folder_is_not_followed_into_the_same_results(tmp_path) -> None:
    claim_followed(tmp_path, {"detector": "small", "follow": "/one"})
    claim_followed(tmp_path, {"detector": "small", "follow": "/one"})
    with pytest.raises(OtherSearchError, match=r"\(follow: /one -> /other\).*--output"):
        claim_followed(tmp_path, {"detector": "small", "follow": "/other"})
