"""Trackers: what is written, what a resumed run keeps, and that W&B can only fail quietly."""

import http.server
import json
import logging
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import wandb_file
from matplotlib.figure import Figure

from ligo_cpc_snn.config.schema import WandbConfig, WandbMode
from ligo_cpc_snn.training import wandb_access
from ligo_cpc_snn.training.jsonl_tracker import JsonlTracker
from ligo_cpc_snn.training.trackers import Trackers, build_trackers
from ligo_cpc_snn.training.wandb_access import choose_access
from ligo_cpc_snn.training.wandb_panels import SECTIONS, panel_name

KEY = "5ec2e7" * 6 + "0123"


def rows(folder: Path) -> list[dict]:
    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line, parse_constant=refuse) for line in lines]


def log_steps(folder: Path, steps: list[int], resumed_step: int | None) -> None:
    tracker = JsonlTracker()
    tracker.start({}, folder, resumed_step)
    for step in steps:
        tracker.log(step, {"phase": "probe", "split": "train", "loss": step / 2})
    tracker.finish("finished")


def test_lines_are_plain_json(tmp_path):
    tracker = JsonlTracker()
    tracker.start({}, tmp_path, None)
    before = time.time()
    tracker.log(3, {"phase": "probe", "split": "train", "loss": 0.5, "bad": float("nan"), "n": 2})
    row = rows(tmp_path)[0]  # on disk before the run ends
    assert before <= row.pop("time") <= time.time()
    assert row == {
        "step": 3,
        "phase": "probe",
        "split": "train",
        "loss": 0.5,
        "bad": None,
        "n": 2,
    }
    tracker.finish("finished")


def test_logging_before_start_is_an_error():
    with pytest.raises(RuntimeError, match="before start"):
        JsonlTracker().log(0, {})


def test_a_resumed_run_writes_each_step_once(tmp_path, caplog):
    log_steps(tmp_path, [10, 20, 30], None)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 40, "lo')  # killed while writing
    log_steps(tmp_path, [30, 40], resumed_step=20)
    assert [row["step"] for row in rows(tmp_path)] == [10, 20, 30, 40]
    assert "1 unreadable line" in caplog.text


def test_a_new_run_keeps_the_metrics_of_the_one_before(tmp_path):
    log_steps(tmp_path, [10], None)
    log_steps(tmp_path, [1], None)
    assert [row["step"] for row in rows(tmp_path)] == [1]
    assert (tmp_path / "metrics.jsonl.before-1").exists()


def test_figures_are_saved_once_and_passed_on(tmp_path):
    seen = []

    class Recorder(JsonlTracker):
        def figure(self, step, name, path):
            seen.append((step, name, path))

    trackers = Trackers([Recorder(), Recorder()])
    trackers.start({}, tmp_path, None)
    figure = Figure(figsize=(1, 1))
    figure.add_subplot().plot([0, 1])
    trackers.figure(7, "rates/bridge", figure)
    path = tmp_path / "figures" / "rates-bridge.png"
    assert path.read_bytes().startswith(b"\x89PNG")
    assert seen == [(7, "rates/bridge", path)] * 2
    trackers.finish("finished")


class Server(http.server.BaseHTTPRequestHandler):
    """Answers everything with the server's `status`, after its `delay`."""

    def do_GET(self) -> None:
        time.sleep(self.server.delay)
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_GET  # noqa: N815

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    server.delay, server.status, server.daemon_threads = 0.0, 401, True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{server.server_port}")
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def no_account(monkeypatch, tmp_path):
    """No test may see the user's own W&B settings, nor leave anything outside its folder."""
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HOME", "WANDB_CONFIG_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    yield
    if "wandb" in sys.modules:  # it reads the environment once
        sys.modules["wandb"].teardown()


def test_without_a_key_auto_is_offline():
    access = choose_access(WandbMode.auto)
    assert access.mode == "offline"
    assert "no API key" in access.reason
    assert choose_access(WandbMode.online).mode == "offline"
    assert choose_access(WandbMode.disabled).mode == "disabled"


def test_with_a_key_and_a_server_auto_is_online(server, monkeypatch, tmp_path):
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    assert choose_access(WandbMode.auto).mode == "online"
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert choose_access(WandbMode.auto).mode == "offline"
    monkeypatch.delenv("WANDB_API_KEY")
    monkeypatch.delenv("WANDB_MODE")
    (tmp_path / "netrc").write_text(f"machine 127.0.0.1\n  login user\n  password {KEY}\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert choose_access(WandbMode.auto).mode == "online"


def test_a_server_that_is_absent_or_silent_means_offline_soon(server, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setattr(wandb_access, "ANSWER_SECONDS", 0.3)
    server.delay = 1.0
    assert choose_access(WandbMode.auto).mode == "offline"
    sys.modules["wandb"].teardown()
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    access = choose_access(WandbMode.auto)
    assert access.mode == "offline"
    assert "cannot be reached" in access.reason


def run_once(folder: Path, resumed_step: int | None, mode: WandbMode) -> None:
    trackers = build_trackers(WandbConfig(mode=mode, tags=["test"]), "test")
    trackers.start({"data": {"detectors": ["H1"]}}, folder, resumed_step)
    trackers.log(1, {"phase": "probe", "split": "train", "loss": 0.5})
    figure = Figure(figsize=(1, 1))
    figure.add_subplot().plot([0, 1])
    trackers.figure(1, "curve", figure)
    trackers.table(1, "spikes/layers", ["layer", "rate"], [["bridge", 0.25]])
    trackers.summary({"sensitivity/found": 0.75})
    trackers.uses("bank of test", "bank", folder / "metrics.jsonl")
    trackers.artifact("model of test", "model", folder / "metrics.jsonl", {"found": 0.75})
    trackers.finish("finished")
    sys.modules["wandb"].teardown()  # its process writes the last of the file as it ends


def test_metrics_are_named_by_the_section_of_panels_they_belong_to():
    named = {
        "loss/total": "loss/train/total",
        "infonce/accuracy": "cpc/train/accuracy",
        "gradient_norm/snn": "gradients/train/snn",
        "learning_rate": "gradients/train/learning_rate",
        "spike_rate/snn_0": "spikes/train/snn_0",
        "data/snr": "data/train/snr",
        "examples_per_second": "throughput/train/examples_per_second",
        "peak_memory_gb": "memory/train/peak_memory_gb",
        "auc": "sensitivity/train/auc",
        "new": "other/train/new",
    }
    assert {name: panel_name(name, "train") for name in named} == named
    assert panel_name("loss/total") == "loss/total"
    assert {x.partition("/")[0] for x in named.values()} == {*SECTIONS, "other"} - {"figures"}


def test_offline_runs_resume_under_one_id_and_keep_no_key(tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    run_once(tmp_path, None, WandbMode.offline)
    run_once(tmp_path, 1, WandbMode.offline)
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]
    run_id = json.loads((tmp_path / "wandb_run.json").read_text())["id"]
    stored = list((tmp_path / "wandb").glob("offline-run-*/*.wandb"))
    assert stored
    assert {path.name for path in stored} == {f"run-{run_id}.wandb"}
    assert len(stored) == 2  # `wandb sync` joins the files of one id
    check_session(wandb_file.records(stored[0]), run_id)
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or KEY.encode() not in path.read_bytes(), path
    assert KEY not in caplog.text


def check_session(found: list, run_id: str) -> None:
    """What one session of `run_once` wrote, read back."""
    (run,) = wandb_file.of_kind(found, "run")
    assert (run.run_id, run.job_type, list(run.tags)) == (run_id, "train", ["test"])
    assert wandb_file.items(run.config, "update")["data"] == {"detectors": ["H1"]}
    rows = [wandb_file.items(x) for x in wandb_file.of_kind(found, "history")]
    assert {"step": 1, "phase": "probe", "other/train/loss": 0.5}.items() <= rows[0].items()
    assert [x["figures/curve._type"] for x in rows if "figures/curve._type" in x] == ["image-file"]
    assert [x["spikes/layers.nrows"] for x in rows if "spikes/layers.nrows" in x] == [1]
    last = {}
    for part in wandb_file.of_kind(found, "summary"):
        last |= wandb_file.items(part, "update")
    assert last["sensitivity/found"] == 0.75
    assert last["status"] == "finished"
    kept = {x.type: x for x in wandb_file.of_kind(found, "artifact")}
    assert kept["bank"].use_after_commit
    assert not kept["model"].use_after_commit
    assert (kept["model"].name, json.loads(kept["model"].metadata)) == (
        "model-of-test",
        {"found": 0.75},
    )


def test_a_damaged_file_of_wandb_is_not_read_as_whole(tmp_path):
    run_once(tmp_path, None, WandbMode.offline)
    (stored,) = (tmp_path / "wandb").glob("offline-run-*/*.wandb")
    body = bytearray(stored.read_bytes())
    body[len(body) // 2] ^= 1
    stored.write_bytes(body)
    with pytest.raises(ValueError, match="check sum"):
        wandb_file.records(stored)


def test_a_refused_key_falls_back_to_offline(tmp_path, server, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    run_once(tmp_path, None, WandbMode.auto)
    assert "W&B offline (online failed" in caplog.text
    assert KEY not in caplog.text
    assert list((tmp_path / "wandb").glob("offline-run-*/*.wandb"))


def test_a_failure_while_logging_is_said_once_and_metrics_go_on(tmp_path, caplog):
    trackers = build_trackers(WandbConfig(mode=WandbMode.offline), "test")
    trackers.start({}, tmp_path, None)
    trackers.trackers[1]._run.finish()  # as when its process has died
    for step in range(3):
        trackers.log(step, {"split": "train", "loss": 1.0})
    trackers.finish("finished")
    assert len(rows(tmp_path)) == 3
    warnings = [r for r in caplog.records if "W&B log failed" in r.getMessage()]
    assert len(warnings) == 1


def stored_of(folder: Path) -> list[Any]:
    """The records of the only session in a folder, whole once W&B's process has ended."""
    sys.modules["wandb"].teardown()
    (stored,) = (folder / "wandb").glob("offline-run-*/*.wandb")
    return wandb_file.records(stored)


def status_of(found: list[Any]) -> str | None:
    """The status that a stored run ended with; None: it has none, or did not end."""
    last = {}
    for part in wandb_file.of_kind(found, "summary"):
        last |= wandb_file.items(part, "update")
    return last.get("status") if wandb_file.of_kind(found, "exit") else None


def started(folder: Path) -> tuple[Trackers, Any]:
    """Trackers of an offline run that has begun, and W&B's own run."""
    trackers = build_trackers(WandbConfig(mode=WandbMode.offline), "test")
    trackers.start({}, folder, None)
    return trackers, trackers.trackers[1]._run


def refuse(*args: object, **kwargs: object) -> None:
    raise TypeError("unexpected keyword argument 'use_after_commit'")


def test_what_wandb_has_no_call_for_costs_the_lineage_only(tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    trackers, run = started(tmp_path)
    monkeypatch.setattr(type(run), "_log_artifact", refuse)
    trackers.uses("bank of test", "bank", tmp_path / "metrics.jsonl")
    trackers.log(1, {"split": "train", "loss": 1.0})
    trackers.finish("finished")
    (warning,) = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert warning.startswith("W&B draws no lineage from bank of test: TypeError: unexpected")
    found = stored_of(tmp_path)
    (row,) = wandb_file.of_kind(found, "history")
    assert wandb_file.items(row)["other/train/loss"] == 1.0
    assert status_of(found) == "finished"


def test_a_run_whose_tracking_is_given_up_is_ended_with_what_it_has(tmp_path, monkeypatch, caplog):
    trackers, run = started(tmp_path)
    trackers.log(1, {"split": "train", "loss": 1.0})
    monkeypatch.setattr(type(run), "log", refuse)
    for step in (2, 3):
        trackers.log(step, {"split": "train", "loss": 1.0})
    trackers.finish("finished")
    (warning,) = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert "W&B log failed and is not used any more; metrics.jsonl goes on: TypeError" in warning
    assert len(rows(tmp_path)) == 3
    found = stored_of(tmp_path)
    assert status_of(found) == "tracking was given up"
    assert len(wandb_file.of_kind(found, "history")) == 1
    (end,) = wandb_file.of_kind(found, "exit")
    assert end.exit_code == 1
