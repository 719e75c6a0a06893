"""`ligo-search`: what it writes, a search that is killed and continued."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from flax import nnx
from small_detector import RATE, noise, small_detector, small_model

from ligo_cpc_snn.config.compose import load_root
from ligo_cpc_snn.config.model_schema import DetectorFusion
from ligo_cpc_snn.config.roots import SEARCH
from ligo_cpc_snn.config.search_arguments import to_overrides
from ligo_cpc_snn.config.search_schema import SearchConfig
from ligo_cpc_snn.errors import UserError
from ligo_cpc_snn.search import engine
from ligo_cpc_snn.search.outputs import read_triggers
from ligo_cpc_snn.search.throughput import Throughput
from ligo_cpc_snn.search.trained import AT_CHANCE
from ligo_cpc_snn.search.weights import save_detector
from ligo_cpc_snn.strain import replacing
from ligo_cpc_snn.wiring import search as wiring
from ligo_cpc_snn.wiring import search_progress
from ligo_cpc_snn.wiring.search_identity import OtherSearchError
from ligo_cpc_snn.wiring.search_progress import ProgressError

SEGMENTS = (1000, 1100, 1200, 1300, 1400)
SETTINGS = [
    "psd_seconds=8",
    "chunk_seconds=1",
    "streams=2",
    "stretch_seconds=16",
    "background.slides=4",
    "triggers.threshold=0.0",
    "report=false",
]


def config(*arguments: str) -> SearchConfig:
    return load_root(to_overrides(arguments), SEARCH)


def command(*arguments: str, cwd: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "ligo_cpc_snn.search", *arguments],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"LIGO_CACHE_DIR": str(cwd / "cache"), "LIGO_PLATFORM": "cpu"},
    )


def finished(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """A folder with a detector and five segments in the challenge's format."""
    folder = tmp_path_factory.mktemp("search")
    detector = small_detector()
    small = replace(detector, params=nnx.to_pure_dict(detector.params))
    save_detector(folder / "small.safetensors", small)
    joint = small_model()
    joint.encoder.detectors = DetectorFusion.joint
    of_all = small_detector(joint)
    of_all = replace(of_all, params=nnx.to_pure_dict(of_all.params))
    save_detector(folder / "joint.safetensors", of_all)
    save_detector(folder / "other.safetensors", replace(small, warm_up_seconds=0.7))
    with h5py.File(folder / "noise.hdf", "w") as file:
        for gps in SEGMENTS:
            for name, segment in noise(24.0, gps=float(gps), seed=gps).items():
                file[f"{name}/{gps}"] = segment.strain
                file[f"{name}/{gps}"].attrs.update({"start_time": gps, "delta_t": 1 / RATE})
    return folder


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch) -> None:
    """Candidates are tested elsewhere and take seconds."""
    monkeypatch.setattr(wiring, "write_candidates", lambda *_, **__: 0)


def search(data: Path, output: Path, *more: str, detector: str = "small") -> int:
    output.mkdir(exist_ok=True)
    files = [str(data / "noise.hdf"), "--detector", str(data / f"{detector}.safetensors")]
    return wiring.run_search(config(*files, *SETTINGS, *more), output, data / "cache")


def results(output: Path) -> tuple[bytes, bytes, bytes, bytes]:
    names = ("triggers.csv", "events.hdf", "triggers.hdf5", "background.npz")
    return tuple((output / name).read_bytes() for name in names)  # type: ignore[return-value]


@pytest.fixture(scope="module")
def whole(data) -> Path:
    """The results of a search that nothing stopped."""
    output = data / "whole"
    assert search(data, output) == 0
    return output


def test_a_search_writes_what_it_found(whole) -> None:
    with (whole / "triggers.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    times = np.array([float(row["time"]) for row in rows])
    assert len(rows) > 20
    assert all(np.diff(times) > 0)
    # Half a filter of 0.5 s at each end, and the warm-up of 0.6 s, are not searched.
    into = times - np.array(SEGMENTS)[np.searchsorted(SEGMENTS, times, side="right") - 1]
    assert into.min() >= 0.8
    assert into.max() <= 23.8
    assert all(float(row["far_per_year"]) > 0 and row["contribution_L1"] for row in rows)
    with h5py.File(whole / "events.hdf") as file:
        np.testing.assert_array_equal(file["time"], times)
        assert set(file["var"][()]) == {0.3}
    record = json.loads((whole / "search.json").read_text())
    assert record["seconds"]["analysed"] == pytest.approx(5 * (24 - 0.5 - 0.625), abs=0.2)
    assert record["seconds"]["left_out"] == 0
    offered = sum(record["seconds"][state] for state in ("analysed", "warm_up", "left_out"))
    assert offered == pytest.approx(5 * 24)


def test_the_record_names_the_events_in_the_time_searched(data, whole, tmp_path) -> None:
    events = tmp_path / "events.csv"
    events.write_text("name,gps\nGW_IN,1110.0\nGW_BETWEEN,1150.0\nGW_EDGE,1200.01\n")
    again = tmp_path / "again"
    shutil.copytree(whole, again)
    assert search(data, again, f"events_file={events}") == 0
    record = json.loads((again / "search.json").read_text())
    assert record["catalogue"] == "events.csv"
    assert record["events"] == {"GW_IN": 1110.0}
    with (again / "triggers.csv").open(newline="") as file:
        assert "GW_IN" in {row["nearest_event"] for row in csv.DictReader(file)}


@pytest.mark.parametrize("stop", [1, 2, 3, 5, 6, 8])
def test_stopped_at_any_file_it_ends_with_the_same(
    stop, data, whole, tmp_path, monkeypatch
) -> None:
    """The n-th file that is written never gets its name: as a process that is killed there."""
    seen = []
    real = os.replace

    def dying(old, new) -> None:
        seen.append(new)
        if len(seen) == stop:
            raise KeyboardInterrupt
        real(old, new)

    monkeypatch.setattr(replacing.os, "replace", dying)
    with pytest.raises(KeyboardInterrupt):
        search(data, tmp_path)
    monkeypatch.setattr(replacing.os, "replace", real)
    assert search(data, tmp_path) == 0
    assert results(tmp_path) == results(whole)


def test_what_is_done_is_not_done_again(data, whole, monkeypatch) -> None:
    before = results(whole)
    monkeypatch.setattr(engine.Engine, "run", lambda *_: pytest.fail("searched again"))
    assert search(data, whole) == 0
    assert results(whole) == before


def test_progress_of_another_search_is_refused(data, whole) -> None:
    with pytest.raises(ProgressError, match=r"psd_seconds: 8\.0 -> 9\.0"):
        search(data, whole, "psd_seconds=9")


def test_results_of_another_search_are_not_overwritten(data, whole, tmp_path) -> None:
    """Other input or another detector is refused, also where progress/ was deleted."""
    copied = tmp_path / "copied"
    shutil.copytree(whole, copied)
    shutil.rmtree(copied / "progress")
    before = results(copied)
    with pytest.raises(OtherSearchError, match=r"holds another search \(weights: .* --output"):
        search(data, copied, detector="other")
    (data / "more.hdf").write_bytes((data / "noise.hdf").read_bytes())
    files = [str(data / "more.hdf"), "--detector", str(data / "small.safetensors")]
    with pytest.raises(OtherSearchError, match=r"\(files: .*noise\.hdf -> .*more\.hdf\).* name="):
        wiring.run_search(config(*files, *SETTINGS), copied, data / "cache")
    cfg = config("--event", "GW150914", "--detector", str(data / "small.safetensors"), *SETTINGS)
    with pytest.raises(OtherSearchError, match="events: none -> GW150914"):
        wiring.run_search(cfg, copied, data / "cache")
    assert results(copied) == before


def test_a_search_that_found_no_strain_does_not_hold_its_folder(data, tmp_path) -> None:
    output, empty = tmp_path / "out", tmp_path / "empty"
    output.mkdir()
    empty.mkdir()
    cfg = config(str(empty), "--detector", str(data / "small.safetensors"), *SETTINGS)
    with pytest.raises(UserError, match="no file that ends in"):
        wiring.run_search(cfg, output, data / "cache")
    assert search(data, output, "psd_seconds=9", detector="other") == 0


def test_a_detector_that_learned_nothing_is_called_so(data, tmp_path, caplog, capsys) -> None:
    told = f"{AT_CHANCE}: its AUC at SNR 20 is 0.491"
    untaught = replace(small_detector(), card={"limits": [3, "of windows", told]})
    untaught = replace(untaught, params=nnx.to_pure_dict(untaught.params))
    save_detector(data / "untaught.safetensors", untaught)
    assert search(data, tmp_path, "triggers.threshold=null", detector="untaught") == 0
    assert f"small: {told}" in caplog.text
    out = capsys.readouterr().out
    assert "inf" not in out.splitlines()[0]
    assert small_detector().caution is None


def test_spikes_are_kept_at_a_bit_each_and_only_for_slides(data, whole, tmp_path) -> None:
    frames = json.loads((whole / "search.json").read_text())["seconds"]["analysed"] * 32
    kept = sum(file.stat().st_size - 128 for file in (whole / "progress").glob("*-features-*"))
    assert kept == pytest.approx(2 * frames, rel=0.01)  # 4 channels are one byte
    assert search(data, tmp_path, "background.slides=0") == 0
    assert not list((tmp_path / "progress").glob("*-features-*"))
    with (tmp_path / "triggers.csv").open(newline="") as file:
        assert {row["contribution_L1"] for row in csv.DictReader(file)} == {""}
    assert search(data, tmp_path) == 0  # slides after all: features are made
    assert results(tmp_path) == results(whole)


def test_a_full_disk_is_told_before_the_search(data, tmp_path, monkeypatch) -> None:
    class Free:
        free = 1000

    monkeypatch.setattr(search_progress.shutil, "disk_usage", lambda _: Free)
    with pytest.raises(ProgressError, match=r"will take 0 MB more and its disk has 0 MB left"):
        search(data, tmp_path)
    assert not list((tmp_path / "progress").glob("*.npz"))


def test_rates_that_are_bounds_are_marked_in_files_and_shown(whole, data, capsys) -> None:
    with (whole / "triggers.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    with np.load(whole / "background.npz") as saved:
        loudest = saved["statistic"].max()
    assert [row["upper_limit"] for row in rows] == [
        "true" if float(row["statistic"]) > loudest else "false" for row in rows
    ]
    table = read_triggers(whole / "triggers.hdf5")
    marked = table._replace(upper_limit=table.statistic >= np.sort(table.statistic)[-2])
    rates = list(wiring._loudest(marked).columns[2].cells)
    assert [cell.startswith("< ") for cell in rates] == [True, True, False, False, False]


def test_speed_per_core_is_strain_per_cpu_second_everywhere(whole) -> None:
    record = json.loads((whole / "search.json").read_text())
    engine = Throughput(**record["machine"]["engine"])
    told = record["throughput"]["times_real_time_per_core"]
    assert told == pytest.approx(engine.times_real_time_per_core)
    assert told == pytest.approx(record["seconds"]["read"] / engine.cpu_seconds)


def test_a_detector_that_sees_all_strain_jointly_has_a_background_too(data, tmp_path) -> None:
    assert search(data, tmp_path, "triggers.threshold=null", detector="joint") == 0
    with np.load(tmp_path / "background.npz") as saved:
        assert (int(saved["slides"]), float(saved["seconds"]) > 60) == (4, True)
        assert saved["statistic"].size > 0
    with (tmp_path / "triggers.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    # Without a threshold a trigger is left per 10 s of the 114 s searched.
    assert 10 <= len(rows) <= 13
    assert all(float(row["p_value"]) <= 1 and row["contribution_H1"] == "" for row in rows)
    warnings = json.loads((tmp_path / "search.json").read_text())["warnings"]
    assert "was taken from the strain searched" in warnings[0]


@pytest.mark.slow
def test_killed_in_the_middle_it_continues_and_ends_with_the_same(data, tmp_path) -> None:
    """A real process, SIGKILL, the same command again, and one that nothing stopped."""
    arguments = [str(data / "noise.hdf"), "--detector", str(data / "small.safetensors"), *SETTINGS]
    arguments[arguments.index("streams=2")] = "streams=1"
    process = command(*arguments, "--output", "killed", cwd=tmp_path)
    progress = tmp_path / "killed" / "progress"
    deadline = time.monotonic() + 120
    while not (done := list(progress.glob("1*.npz"))):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    finished(process)
    assert not (tmp_path / "killed" / "triggers.csv").exists()
    written = done[0].stat().st_mtime_ns
    code, out, err = finished(command(*arguments, "--output", "killed", cwd=tmp_path))
    assert (code, "triggers above 0" in out) == (0, True), err
    assert done[0].stat().st_mtime_ns == written
    code, _, err = finished(command(*arguments, "--output", "whole", cwd=tmp_path))
    assert code == 0, err
    assert results(tmp_path / "killed") == results(tmp_path / "whole")


def test_bad_input_ends_in_one_line_and_exit_code_1(data, tmp_path) -> None:
    process = command("--detector", str(data / "small.safetensors"), "-c", "job", cwd=tmp_path)
    assert finished(process)[0] == 0
    code, _, err = finished(command("--detector", "absent", str(data), cwd=tmp_path))
    assert code == 1
    assert "Traceback" not in err
    assert "detector 'absent' is no shipped one" in err.splitlines()[-1]
