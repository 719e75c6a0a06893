"""`ligo-search`: its command line, a search that is killed and continued."""

import csv
import json
import os
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
from hypothesis import given, settings
from hypothesis import strategies as st
from small_detector import RATE, noise, small_detector, small_model

from ligo_cpc_snn.config import search_arguments
from ligo_cpc_snn.config.compose import load, load_root
from ligo_cpc_snn.config.errors import ConfigError
from ligo_cpc_snn.config.model_schema import DetectorFusion
from ligo_cpc_snn.config.roots import EVALUATION, SEARCH
from ligo_cpc_snn.config.search_arguments import to_overrides
from ligo_cpc_snn.config.search_schema import SearchConfig
from ligo_cpc_snn.search import engine
from ligo_cpc_snn.search.weights import save_detector
from ligo_cpc_snn.strain import replacing
from ligo_cpc_snn.wiring import search as wiring
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


def refused(*arguments: str) -> str:
    with pytest.raises(ConfigError) as caught:
        config(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_options_and_files_become_settings(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.hdf").touch()
    Path("folder").mkdir()
    cfg = config("--detector", "bbh_o3", "a.hdf", "streams=2", "folder", "--output", "out")
    assert (cfg.detector, cfg.strain.files) == ("bbh_o3", ["a.hdf", "folder"])
    assert (cfg.streams, cfg.output_dir) == (2, "out")
    cfg = config("--event", "GW150914", "--event", "GW170817")
    assert cfg.strain.gwosc.events == ["GW150914", "GW170817"]
    cfg = config("--start", "1187008512", "--end=1187008882", "+triggers.threshold=3")
    assert (cfg.strain.gwosc.span, cfg.triggers.threshold) == ((1187008512, 1187008882), 3.0)
    assert config("--follow", "in coming").follow == "in coming"


def test_an_existing_file_wins_over_a_setting_of_its_name(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert config("streams=2").streams == 2
    Path("streams=2").touch()
    cfg = config("streams=2")
    assert (cfg.streams, cfg.strain.files) == (4, ["streams=2"])


@settings(max_examples=20, deadline=None)
@given(
    st.text(st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="$"), min_size=1)
)
def test_any_name_survives_the_overrides_grammar(name) -> None:
    """Spaces, commas, brackets, quotes and backslashes in names of files."""
    text = f"strain.files=[{search_arguments.quoted(name)},{search_arguments.quoted('b')}]"
    assert load_root([text], SEARCH).strain.files == [name, "b"]


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["absent.hdf"], "absent.hdf: there is no such file or folder"),
        (["absent/x=1.hdf"], "absent/x=1.hdf: there is no such file or folder"),
        (["GW150914"], "for an event write --event GW150914"),
        (["--detector"], "argument --detector: expected one argument"),
        (["--detector", "a", "detector=b"], "detector=b: detector is given twice"),
        (["steams=2"], "unknown key steams"),
        (["+triggers.treshold=2"], "did you mean triggers.threshold?"),
        (["experiment=quickstart"], "unknown key experiment"),
        (["streams=many"], "streams=many: expected a whole number"),
        (["streams=1,2"], "streams=1,2: several values for one run; write a list"),
        (["--start", "soon"], "strain.gwosc.start=soon: expected a whole number or null"),
        (["--start", "10"], "expected strain.gwosc.end (--end)"),
        (["--end", "10"], "expected strain.gwosc.start (--start)"),
        (["--start", "10", "--end", "5"], "expected less than the end, 5"),
        (["--event", "GW150914", "--follow", "x"], "expected one of them"),
    ],
)
def test_wrong_arguments_are_told_in_one_line(arguments, said) -> None:
    assert said in refused(*arguments)


def test_each_root_has_its_own_keys_and_training_keeps_its() -> None:
    assert load_root(["name=x"], SEARCH).output_dir == "searches/x"
    assert load_root(["+population=mlgwsc1_ds1"], EVALUATION).output_dir == "campaigns/campaign"
    assert load(["name=x"]).run_dir == "runs/x"
    with pytest.raises(ConfigError, match="unknown key seed"):
        load_root(["seed=1"], SEARCH)


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


def test_errors_and_help_come_before_jax(tmp_path) -> None:
    script = "import sys; from ligo_cpc_snn.wiring.search_command import main\n"
    script += "code = main(); assert 'jax' not in sys.modules; sys.exit(code)"
    for arguments, code, out, err in (
        (["steams=2"], 1, "", "error: unknown key steams"),
        (["-m", "streams=1,2"], 1, "", "error: --multirun is for training"),
        (["--cfg", "job", "streams=3"], 0, "streams: 3", ""),
        (["--help"], 0, "--follow DIR", ""),
    ):
        done = subprocess.run(
            [sys.executable, "-c", script, *arguments], cwd=tmp_path, capture_output=True, text=True
        )
        assert (done.returncode, done.stderr.count("\n")) == (code, 1 if err else 0)
        assert done.stderr.startswith(err)
        assert out in done.stdout


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
    with pytest.raises(ProgressError, match="weights: "):
        search(data, whole, detector="other")


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
