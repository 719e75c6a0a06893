"""One tiny run through its command line with W&B offline: what it tells, and what it must not."""

import functools
import io
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
import wandb_file
from tiny import TINY

from ligo_cpc_snn.training.wandb_panels import SECTIONS

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "scripts" / "wandb_report.py"
MARK = "5ec2e7a9"  # in every secret of the run
KEY = f"{MARK}" * 5
SECRETS = {
    "WANDB_API_KEY": KEY,
    "HF_TOKEN": f"hf_{MARK}{MARK}",
    "DATABASE_PASSWORD": f"pass-{MARK}",
    "HTTPS_PROXY": f"http://user:proxy-{MARK}@127.0.0.1:9",
    "WANDB_BASE_URL": f"http://user:server-{MARK}@127.0.0.1:9",
}


@dataclass
class Done:
    """A run that has ended."""

    folder: Path
    output: str

    @functools.cached_property
    def records(self) -> list:
        (file,) = self.folder.glob("wandb/offline-run-*/*.wandb")
        return wandb_file.records(file)

    def rows(self) -> list[dict]:
        return [wandb_file.items(x) for x in wandb_file.of_kind(self.records, "history")]


def clean_environment(home: Path) -> dict[str, str]:
    """This process's variables without the user's own W&B."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("WANDB_")}
    places = ("HOME", "WANDB_CONFIG_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR", "LIGO_CACHE_DIR")
    return kept | {name: str(home) for name in places}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """A run in a repository whose remote holds a password, with every secret in its reach."""
    home, work = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("work")
    (home / "netrc").write_text(f"machine 127.0.0.1\n  login user\n  password netrc-{MARK}\n")
    if git := shutil.which("git"):
        subprocess.run([git, "init", "-q", work], check=True)
        remote = f"https://user:git-{MARK}@127.0.0.1/x.git"
        subprocess.run([git, "-C", work, "remote", "add", "origin", remote], check=True)
    mine = {"NETRC": str(home / "netrc"), "WANDB_X_STATS_SAMPLING_INTERVAL": "1"}
    arguments = [*TINY, "name=told", "trackers.wandb.mode=auto", "trackers.wandb.group=some"]
    done = subprocess.run(
        [sys.executable, "-m", "ligo_cpc_snn.train", *arguments],
        cwd=work,
        env=clean_environment(home) | SECRETS | mine,
        capture_output=True,
        text=True,
        timeout=1800,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return Done(work / "runs" / "told", done.stdout + done.stderr)


def contents(path: Path) -> list[bytes]:
    """Return what a file holds, also packed in it."""
    body = path.read_bytes()
    if not zipfile.is_zipfile(path):
        return [body]
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        return [body, *(archive.read(name) for name in archive.namelist())]


def test_no_secret_is_in_config_log_report_checkpoint_or_anything_else(run):
    files = [path for path in run.folder.rglob("*") if path.is_file()]
    names = {path.name for path in files}
    assert {"config.yaml", "run.log", "report.html", "detector.safetensors"} <= names
    assert any("checkpoints" in path.parts for path in files)
    assert any(path.suffix == ".wandb" for path in files)
    holding = [p for p in files if any(MARK.encode() in body for body in contents(p))]
    assert holding == []  # W&B notes the repository's remote, without its password
    assert MARK not in run.output
    assert "<hidden>" in (run.folder / "run.log").read_text()  # the server's address was logged


def test_what_a_run_tells_is_grouped_and_whole(run):
    rows = run.rows()
    told = {name.partition(".")[0] for row in rows for name in row if "/" in name}
    assert {name.partition("/")[0] for name in told} == set(SECTIONS)
    lines = [json.loads(x) for x in (run.folder / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows[: len(lines)]] == [line["step"] for line in lines]
    first = {name: line["loss/total"] for line, name in [(lines[0], "loss/train/total")]}
    assert first.items() <= rows[0].items()
    figures = {name for name in told if name.startswith("figures/")}
    saved = {f"figures/{path.stem}" for path in (run.folder / "figures").glob("*.png")}
    assert figures == saved
    measured = {x.key for part in wandb_file.of_kind(run.records, "stats") for x in part.item}
    assert {"cpu", "proc.memory.rssMB"} <= measured


def test_the_lineage_goes_from_the_banks_to_the_detector(run):
    (session,) = wandb_file.of_kind(run.records, "run")
    assert (session.run_group, session.display_name) == ("some", "told")
    kept = {x.type: x for x in wandb_file.of_kind(run.records, "artifact")}
    assert {"bank", "model", "checkpoint", "report"} <= set(kept)
    assert [kind for kind, x in kept.items() if x.use_after_commit] == ["bank"]
    record = json.loads((run.folder / "bank.json").read_text())
    assert kept["bank"].name == f"bank-{record['sha256'][:12]}"
    assert kept["model"].name == "told-detector"
    assert [x.path for x in kept["model"].manifest.contents] == ["detector.safetensors"]
    assert "sensitivity/found" in json.loads(kept["model"].metadata)


def dry_run(folder: Path, *options: str) -> dict:
    done = subprocess.run(
        [sys.executable, SCRIPT, "--dry-run", *options],
        env=clean_environment(folder),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_dashboard_shows_what_a_run_tells_and_nothing_else(run, tmp_path):
    pytest.importorskip("wandb_workspaces", reason="wandb-workspaces is not installed (wandb)")
    made = dry_run(tmp_path, "--group", "some")
    sections = {x["name"]: x["panels"] for x in made["sections"]}
    assert list(sections) == [*SECTIONS, "system", "sweep"]
    assert made["settings"]["group_by_prefix"] == "first"
    assert "some" in json.dumps(made["runset_settings"]["filters"])
    shown: set[str] = set()
    patterns = []
    for panel in [panel for name in SECTIONS for panel in sections[name]]:
        shown |= {*panel.get("y", []), *panel.get("media_keys", [])}
        shown |= {panel["table_name"]} if "table_name" in panel else set()
        patterns += [panel["metric_regex"]] if "metric_regex" in panel else []
    told = {re.sub(r"\.\w+$", "", name) for row in run.rows() for name in row if "/" in name}
    assert shown <= told
    unseen = {x for x in told - shown if not any(re.fullmatch(p, x) for p in patterns)}
    # W&B adds panels of its own for what no panel names.
    assert {x for x in unseen if not x.startswith("figures/")} == {
        "spikes/train/bridge_fault",
        "sensitivity/validation/score",
    }


def test_a_report_draws_the_lineage_and_without_an_account_one_line_is_said(tmp_path):
    pytest.importorskip("wandb_workspaces", reason="wandb-workspaces is not installed (wandb)")
    made = dry_run(tmp_path, "--report", "--artifact", "told-detector")
    assert made["blocks"][-1]["artifact"] == "told-detector"
    assert made["blocks"][-1]["tab"] == "lineage"
    nowhere = {"WANDB_BASE_URL": "http://127.0.0.1:9", "WANDB_API_KEY": KEY}
    done = subprocess.run(
        [sys.executable, SCRIPT, "--entity", "someone"],
        env=clean_environment(tmp_path) | nowhere,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: W&B took it not")
    assert MARK not in done.stderr + done.stdout
