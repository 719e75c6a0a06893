"""`ligo-profile` over a real run and a real search, the launcher, and the script for the H200."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from flax import nnx
from small_detector import RATE, noise, small_detector
from tiny import tiny

from ligo_cpc_snn import profile
from ligo_cpc_snn.benchmarking import allocators, gpu_aims
from ligo_cpc_snn.config.compose import load_root
from ligo_cpc_snn.config.roots import SEARCH
from ligo_cpc_snn.config.search_arguments import to_overrides
from ligo_cpc_snn.runtime.allocator import VARIABLES
from ligo_cpc_snn.search.weights import save_detector
from ligo_cpc_snn.wiring import profile as profile_wiring
from ligo_cpc_snn.wiring.profile import profile_run, profile_search

ROOT = Path(__file__).parents[1]
LAUNCH = ROOT / "scripts" / "launch.sh"


def read(folder: Path) -> tuple[dict, set[str]]:
    record = json.loads((folder / "profile.json").read_text())
    return record, {stage["path"][-1] for stage in record["stages"]}


@pytest.mark.slow
def test_a_run_is_profiled_stage_by_stage(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cfg = tiny("training.pretrain.steps=0", "training.probe.steps=0")
    assert profile_run(cfg, tmp_path, tmp_path / "cache", steps=3, traced=1) == 0
    record, names = read(tmp_path)
    wanted = {"run", "banks", "noise", "model", "compilation", "training", "checkpoint"}
    wanted |= {"finetune: training step", "finetune: validation", "evaluation", "report"}
    assert wanted <= names
    programs = {program["name"]: program for program in record["programs"]}
    assert len(programs["finetune: training step"]["seconds"]) == 3
    assert programs["finetune: training step"]["memory_bytes"]["temporaries"] > 0
    assert {row["function"] for row in record["compilation"]}
    assert record["trace"]["program"] == "finetune: training step"
    assert any(event["operation"] for event in record["trace"]["events"])
    assert (tmp_path / record["trace"]["file"]).is_file()
    whole = record["stages"][0]
    inside = sum(s["seconds"] for s in record["stages"] if len(s["path"]) == 2)
    assert whole["self_seconds"] + inside == pytest.approx(whole["seconds"])
    assert whole["resident_peak"] > 50e6
    assert record["forecast"][-1]["seconds"] > 0
    assert "flame" in (tmp_path / "report.html").read_text()
    assert not (tmp_path / "runs").exists()  # the user's own run is left alone


@pytest.mark.slow
def test_a_search_is_profiled_with_its_background_thread(tmp_path):
    detector = small_detector()
    save_detector(
        tmp_path / "small.safetensors",
        replace(detector, params=nnx.to_pure_dict(detector.params)),
    )
    with h5py.File(tmp_path / "noise.hdf", "w") as file:
        for name, segment in noise(40.0).items():
            data = file.create_dataset(f"{name}/1000", data=segment.strain)
            data.attrs.update(start_time=1000.0, delta_t=1 / RATE)
    arguments = [
        str(tmp_path / "noise.hdf"), "--detector", str(tmp_path / "small.safetensors"),
        "psd_seconds=8", "chunk_seconds=1", "streams=1", "background.slides=2", "report=false",
    ]  # fmt: skip
    cfg = load_root(to_overrides(arguments), SEARCH)
    folder = tmp_path / "profile"
    folder.mkdir()
    for _ in range(2):  # the second is a search anew, not a reading of the first
        assert profile_search(cfg, folder, tmp_path, traced=1) == 0
        record, names = read(folder)
        assert {"search", "read", "whiten", "chunk", "ranking", "slides"} <= names
        threads = {span["thread"] for span in record["spans"] if span["path"][-1] == "whiten"}
        assert threads
        assert not threads & {"MainThread"}
        calls = {p["name"]: len(p["seconds"]) for p in record["programs"]}
        assert calls["network, 1 streams"] > 20
        assert record["trace"]["program"] == "network, 1 streams"
        assert record["engine"]["strain_seconds"] > 30


@pytest.mark.parametrize(
    "arguments, message",
    [(["--steps=0"], "--steps 0"), (["--traced=-1"], "--traced -1"), (["--steps=x"], "--help")],
)
def test_wrong_options_are_one_line(arguments, message, monkeypatch, caplog):
    monkeypatch.setattr(sys, "argv", ["ligo-profile", *arguments])
    assert profile.main() == 1
    (record,) = caplog.records  # pytest listens to the log: there it is said
    assert message in record.getMessage()
    assert "\n" not in record.getMessage()


@pytest.mark.parametrize("search, other", [([], "+experiment"), (["--search"], "--detector X")])
def test_help_is_that_of_what_is_profiled(search, other, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["ligo-profile", *search, "--help"])
    assert profile.main() == 0
    text = capsys.readouterr().out
    assert "--traced N" in text
    assert other in text


def launched(*command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    clean = {name: x for name, x in os.environ.items() if not name.startswith("MALLOC_")}
    return subprocess.run(
        [str(LAUNCH), *command], env=clean | variables, capture_output=True, text=True, check=False
    )


def test_the_launcher_sets_the_allocator_of_runtime():
    shown = launched("env").stdout.splitlines()
    assert {f"{name}={value}" for name, value in VARIABLES.items()} <= set(shown)


def test_the_launcher_passes_on_arguments_exit_code_and_the_users_own():
    done = launched("sh", "-c", 'printf "%s|" "$@"; exit 7', "sh", "a b", "c=[1,2]", "*")
    assert done.stdout == "a b|c=[1,2]|*|"
    assert done.returncode == 7
    own = launched("sh", "-c", "echo $MALLOC_TOP_PAD_", MALLOC_TOP_PAD_="1")
    assert own.stdout.strip() == "1"
    assert launched().returncode == 2


def test_the_users_allocator_is_left_alone_after_the_launcher():
    code = "from ligo_cpc_snn.runtime.allocator import keep_pages; print(keep_pages())"
    done = launched(sys.executable, "-c", code)
    if "not glibc" not in done.stdout:
        assert "MALLOC_MMAP_THRESHOLD_" in done.stdout


RESULT = {
    "steps": [{"step_ms": 0.9}, {"step_ms": 3.0}],
    "search": [{"times_real_time": 2e5}, {"times_real_time": 10.0}],
    "agreement": [{"kernels": "fast", "difference": 1e-5, "tolerance": 1e-3}],
}


def test_aims_are_judged_by_the_best_way():
    assert gpu_aims.missed(RESULT) == []
    slow = RESULT | {"steps": [{"step_ms": 1.1}], "search": [{"times_real_time": 9e4}]}
    assert [text.split(":")[0] for text in gpu_aims.missed(slow)] == ["training step", "search"]
    wrong = {"kernels": "fast", "difference": 1e-2, "tolerance": 1e-3}
    assert "fast differs" in gpu_aims.missed(RESULT | {"agreement": [wrong]})[0]
    broken = wrong | {"difference": float("nan")}
    assert "fast differs from plain by nan" in gpu_aims.missed(RESULT | {"agreement": [broken]})[0]


@pytest.mark.slow
def test_the_script_for_the_h200_runs_small(tmp_path):
    """In a process of its own: it sets the environment before JAX."""
    file = tmp_path / "h200.json"
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "h200.py"), "--tiny", "--no-tests", "--json", file],
        env=os.environ | {"LIGO_PLATFORM": "cpu", "LIGO_CACHE_DIR": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(file.read_text())
    assert {row["steps_per_dispatch"] for row in result["steps"]} == {1, 2}
    assert all(row["step_ms"] > 0 and row["tflops"] > 0 for row in result["steps"])
    assert {row["kernels"] for row in result["left_out"]} <= {
        "Pallas LIF, associative", "Pallas LIF, associative, bfloat16",
    }  # fmt: skip
    assert all(row["difference"] <= row["tolerance"] for row in result["agreement"])
    names = [row["name"] for row in result["search"]]
    assert any(name.startswith("network, plain") for name in names)
    assert names[-1].startswith("engine with whitening")
    assert "times real time" in done.stdout or "x real time" in done.stdout


@pytest.mark.slow
def test_allocators_take_turns():
    """No number is asserted: the machine is shared. The three differ as they should."""
    result = allocators.measure(gpu_aims.TINY, rounds=2, steps=1)
    assert list(result) == list(allocators.VARIANTS)
    assert all(np.isfinite(row["gain"]).all() for row in result.values())
    assert result["glibc's own"]["gain"] == [1.0, 1.0, 1.0]
    if "not glibc" not in result["mallopt"]["allocator"]:
        assert "keeps pages" in result["mallopt"]["allocator"]
        assert "MALLOC_TOP_PAD_" in result["launch.sh"]["allocator"]


def test_a_folder_that_no_profile_made_is_not_emptied(tmp_path):
    own = tmp_path / "trace/notes.txt"
    own.parent.mkdir()
    own.write_text("mine")
    with pytest.raises(FileExistsError, match=r"trace is not of an earlier profile.*--to DIR"):
        profile_wiring._emptied(own.parent)
    assert own.read_text() == "mine"
    own.unlink()
    (profile_wiring._emptied(own.parent) / "old").touch()
    assert not (profile_wiring._emptied(own.parent) / "old").exists()
