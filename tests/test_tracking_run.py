"""One tiny run through its command line with W&B offline: what it tells, and what it must not."""

import dataclasses
import functools
import gzip
import http.server
import importlib.util
import io
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import wandb_file
from omegaconf import OmegaConf
from report_run import write_run
from tiny import TINY

from ligo_cpc_snn.config.fields import all_keys
from ligo_cpc_snn.config.schema import Config
from ligo_cpc_snn.reports import figures
from ligo_cpc_snn.reports.run_files import read_run
from ligo_cpc_snn.training.wandb_panels import OTHER, SECTIONS

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


PARTS_OF_MEDIA = (
    "type|format|height|width|path|sha256|size|artifact_path|latest_artifact_path|log_mode|ncols"
    "|nrows"
)


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

    def summary(self) -> dict:
        parts = wandb_file.of_kind(self.records, "summary")
        return {k: v for part in parts for k, v in wandb_file.items(part, "update").items()}

    def measured(self) -> set[str]:
        parts = wandb_file.of_kind(self.records, "stats")
        return {f"system/{x.key}" for part in parts for x in part.item}

    def told(self) -> set[str]:
        """Names of all that it wrote: of numbers, words, figures and tables, as W&B shows them."""
        names = {name for row in [*self.rows(), self.summary()] for name in row}
        whole = {re.sub(r"(?<=\w)\._?(" + PARTS_OF_MEDIA + r")$", "", name) for name in names}
        return {name for name in whole if not name.startswith("_")} | self.measured()


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
    assert {"system/cpu", "system/proc.memory.rssMB"} <= run.measured()


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


@dataclass
class Received:
    """What a server was sent: GraphQL operations, streamed lines and files by name."""

    asked: list[tuple[str, dict]] = field(default_factory=list)
    streamed: dict[str, list[dict]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    bodies: list[bytes] = field(default_factory=list)

    def variables(self, operation: str) -> list[dict]:
        return [variables for name, variables in self.asked if name == operation]


class WandbServer(http.server.BaseHTTPRequestHandler):
    """As much of W&B's server as `wandb sync` needs: it takes everything."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        received: Received = self.server.received
        received.bodies.append(body)
        answer: dict = {}
        if self.path == "/graphql":
            asked = json.loads(body)
            operation = re.search(r"(?:query|mutation) (\w+)", asked["query"])[1]
            variables = asked.get("variables") or {}
            received.asked.append((operation, variables))
            answer = {"data": answer_of(operation, variables, self.headers["Host"])}
        elif self.path.endswith("/file_stream"):
            for name, part in json.loads(body).get("files", {}).items():
                lines = [json.loads(line) for line in part["content"]]
                received.streamed.setdefault(name, []).extend(lines)
        elif self.command == "PUT":
            received.files[self.path.removeprefix("/storage/")] = body
        told = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    do_PUT = do_POST  # noqa: N815

    def log_message(self, *args: object) -> None:
        pass


def answer_of(operation: str, asked: dict, host: str) -> dict[str, Any]:
    """What W&B's server answers for a new run in a new project."""

    def place(name: str) -> dict[str, Any]:
        return {"name": name, "uploadUrl": f"http://{host}/storage/{name}", "uploadHeaders": []}

    if operation == "UpsertBucket":
        project = {"id": "p", "name": asked["project"], "entity": {"id": "e", "name": "someone"}}
        bucket = {"id": "r", "name": asked["name"], "config": "{}", "project": project}
        return {"upsertBucket": {"inserted": True, "bucket": bucket}}
    if operation == "CreateArtifact":  # its identifier here is its name
        name = asked["input"]["artifactCollectionName"]
        artifact = {"id": name, "state": "PENDING", "artifactSequence": {"latestArtifact": None}}
        return {"createArtifact": {"artifact": artifact}}
    if operation == "CreateArtifactManifest":
        kept = {"id": "m", "file": {"id": "f"} | place(f"manifest-{asked['artifactID']}")}
        return {"createArtifactManifest": {"artifactManifest": kept}}
    if operation == "CreateArtifactFiles":
        given = asked["input"]["artifactFiles"]
        nodes = [place(x["name"]) | {"artifact": {"id": x["artifactID"]}} for x in given]
        return {"createArtifactFiles": {"files": {"edges": [{"node": x} for x in nodes]}}}
    if operation == "CreateRunFiles":
        files = [place(name) for name in asked["files"]]
        return {"createRunFiles": {"runID": "r", "uploadHeaders": [], "files": files}}
    return {
        "RunResumeStatus": {"model": None},
        "ServerFeaturesQuery": {"serverInfo": {"features": []}},
        "CommitArtifact": {"commitArtifact": {"artifact": {"id": "a", "digest": "d"}}},
        "UseArtifact": {"useArtifact": {"artifact": {"id": "a"}}},
    }[operation]


@pytest.fixture
def server() -> Iterator[http.server.ThreadingHTTPServer]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), WandbServer)
    server.received, server.daemon_threads = Received(), True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_wandb_sync_sends_all_of_an_offline_run(run, server, tmp_path):
    (offline,) = run.folder.glob("wandb/offline-run-*")
    copy = shutil.copytree(offline, tmp_path / offline.name)  # a file beside it notes the sending
    address = {"WANDB_BASE_URL": f"http://127.0.0.1:{server.server_port}", "WANDB_API_KEY": KEY}
    done = subprocess.run(
        [sys.executable, "-m", "wandb", "sync", copy],
        env=clean_environment(tmp_path) | address,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "Finished syncing" in done.stderr
    received: Received = server.received
    first = received.variables("UpsertBucket")[0]
    assert (first["displayName"], first["groupName"]) == ("told", "some")
    rows = received.streamed["wandb-history.jsonl"]
    assert [row["step"] for row in rows] == [row["step"] for row in run.rows()]
    assert received.streamed["wandb-summary.json"][-1]["status"] == "finished"
    sent = {re.sub(r"_\d+_\w+(?=\.png)", "", name) for name in received.files}
    assert {f"media/images/figures/{x.name}" for x in run.folder.glob("figures/*.png")} <= sent
    for name in ("bank.json", "detector.safetensors", "report.html"):
        assert received.files[name] == (run.folder / name).read_bytes()
    (used,) = received.variables("UseArtifact")
    assert used["input"]["artifactID"].startswith("bank-")
    committed = {x["artifactID"] for x in received.variables("CommitArtifact")}
    assert {"told-detector", "told-checkpoints", "told-report"} <= committed
    assert not any(MARK.encode() in body for body in received.bodies)


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


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """The dashboard of one group, as --dry-run prints it."""
    pytest.importorskip("wandb_workspaces", reason="wandb-workspaces is not installed (wandb)")
    return dry_run(tmp_path_factory.mktemp("home"), "--group", "some")


@pytest.fixture(scope="module")
def sections(made: dict) -> dict[str, list[dict]]:
    return {x["name"]: x["panels"] for x in made["sections"]}


def not_drawn() -> tuple[str, ...]:
    spec = importlib.util.spec_from_file_location("wandb_report", SCRIPT)
    assert spec is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script.NOT_DRAWN


def drawn(panel: dict) -> set[str]:
    """Names that a panel shows, of curves, figures, tables and numbers of the summary."""
    if panel["kind"] == "ScatterPlot":
        axes = (panel["x"], panel["y"])
        return {axis["name"] for axis in axes if axis["kind"] == "SummaryMetric"}
    tables = {panel["table_name"]} if "table_name" in panel else set()
    return {*panel.get("y", []), *panel.get("media_keys", [])} | tables


def test_the_dashboard_has_the_sections_of_what_runs_log(made, sections):
    assert list(sections) == [*SECTIONS, OTHER, "system", "sweep"]
    assert made["settings"]["group_by_prefix"] == "first"
    assert "some" in json.dumps(made["runset_settings"]["filters"])


def test_all_that_a_run_writes_is_in_a_panel_or_named_as_not_drawn(run, sections):
    panels = [panel for content in sections.values() for panel in content]
    names = set().union(*map(drawn, panels))
    patterns = [panel["metric_regex"] for panel in panels if "metric_regex" in panel]
    unseen = {x for x in run.told() - names if not any(re.fullmatch(p, x) for p in patterns)}
    left = {x for x in unseen if not any(re.fullmatch(p, x) for p in not_drawn())}
    assert left == set()
    assert all(any(re.fullmatch(p, x) for x in unseen) for p in not_drawn())
    # No panel is for a number, figure or table that no run writes.
    conditional = {x for x in names if x.startswith(("figures/", "system/"))}
    assert names - conditional <= run.told()
    used = {p for p in patterns for x in run.told() if re.fullmatch(p, x)}
    assert set(patterns) - used == {f"^{OTHER}/.+$"}


def every_figure(folder: Path) -> dict[str, str]:
    """The section of each figure that a run can have, by name."""
    whole = {
        "psd_asd": np.ones((1, 1, 3)),
        "population_mass_1": np.arange(3.0),
        "quality_gps": np.zeros(1),
        "glitch_strain": np.zeros((1, 8)),
        "transient_snr": np.zeros(1),
    }
    files = read_run(write_run(folder))
    files = dataclasses.replace(files, data=whole, q_transform={"event_name": "GW150914"})
    return {x.name: x.section for x in figures.plots(files) if x.draw is not None}


def test_every_figure_that_a_run_can_have_is_in_the_panel_of_its_section(sections, tmp_path):
    known = every_figure(tmp_path)
    in_source = re.findall(r'"(\w+)", "[A-Z]\w+", "', Path(figures.__file__).read_text("utf-8"))
    assert len(in_source) > 10
    assert set(in_source) <= set(known)  # none was left out above
    shown = {panel["title"]: drawn(panel) for panel in sections["figures"]}
    assert shown == {
        title: {f"figures/{name}" for name, section in known.items() if section == title}
        for title in shown
    }
    assert set().union(*shown.values()) == {f"figures/{name}" for name in known}


def known_to_wandb() -> list[str]:
    """Patterns of what W&B measures of a machine, from its own program, which draws them too."""
    import wandb

    (program,) = (Path(wandb.__file__).parent / "bin").glob("wandb-core*")
    found = re.findall(rb"\^((?:gpu|disk)\\\.[ -~]{1,60}?)\(/l:\.\+\)\?\$", program.read_bytes())
    return [f"system/{x.decode()}" for x in found]


def test_panels_of_the_system_show_what_is_measured(run, sections):
    names = set().union(*map(drawn, sections["system"]))
    elsewhere = {x for x in names - run.measured() if x.startswith(("system/gpu.", "system/disk."))}
    assert names - elsewhere <= run.measured()
    assert {"system/cpu", "system/proc.memory.rssMB", "system/network.sent"} <= names
    patterns = known_to_wandb()
    assert [x for x in elsewhere if not any(re.fullmatch(p, x) for p in patterns)] == []
    assert not any(re.fullmatch(p, "system/gpu.0.gpus") for p in patterns)


def test_panels_of_a_sweep_compare_what_presets_vary_by_numbers_that_a_run_writes(run, sections):
    presets = (ROOT / "conf" / "sweep").glob("*.yaml")
    varied = {key for file in presets for key in OmegaConf.load(file).hydra.sweeper.params}
    parallel, importance, *scatter, comparer = sections["sweep"]
    *columns, last = [x["metric"] for x in parallel["columns"]]
    assert {x["name"] for x in columns} == varied
    used = {importance["with_respect_to"]}
    for axis in [last, *columns, *(panel[k] for panel in scatter for k in ("x", "y"))]:
        if axis["kind"] == "Config":
            check_setting(run, axis["name"])
        else:
            assert axis["kind"] == "SummaryMetric"
            used.add(axis["name"])
    assert used == {"sensitivity/found", "spikes/rate_hz_bridge"}
    assert all(isinstance(run.summary()[name], float) for name in used)
    assert comparer["kind"] == "RunComparer"


def check_setting(run: Done, key: str) -> None:
    """A setting has to be one of the schema, and where W&B keeps it of a run."""
    assert key in all_keys(Config)
    (session,) = wandb_file.of_kind(run.records, "run")
    value = wandb_file.items(session.config, "update")
    for name in key.split("."):
        value = value[name]
    assert value is not None


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
