"""Weights & Biases as a tracker that can fail without harming the run."""

import contextlib
import json
import logging
import re
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ligo_cpc_snn.confidential import hidden
from ligo_cpc_snn.config.schema import WandbConfig
from ligo_cpc_snn.training.wandb_access import Access, choose_access, import_wandb
from ligo_cpc_snn.training.wandb_panels import panel_name

log = logging.getLogger(__name__)

START_SECONDS = 30.0
FINISH_SECONDS = 60.0  # for uploads at the end
GIVEN_UP = "tracking was given up"  # status of a run whose tracking failed


class WandbTracker:
    """Sends metrics, figures, tables and artifacts to W&B, online or into the run folder.

    A run that is resumed goes on under the same id. Any failure is logged once, with its
    reason, and ends the use of W&B, but one of `uses`, which costs the lineage only; what was
    recorded until then is kept. The API key is read by `wandb` itself and kept nowhere.
    """

    def __init__(self, cfg: WandbConfig, name: str) -> None:
        self.cfg, self.name = cfg, name
        self.mode = "disabled"
        self._run: Any = None
        self._ending: threading.Thread | None = None  # of a run that was given up

    def start(self, config: Mapping[str, Any], run_dir: Path, resumed_step: int | None) -> None:
        """Begin, or go on with, the run; online falls back to offline."""
        access = choose_access(self.cfg.mode)
        if access.mode == "disabled":
            log.info("W&B is disabled: %s", access.reason)
            return
        self._attempt("start", lambda: self._start(access, config, run_dir, resumed_step))

    def _start(
        self, access: Access, config: Mapping[str, Any], run_dir: Path, resumed: int | None
    ) -> None:
        run_id = _run_id(run_dir, resumed)
        self.mode, reason = access.mode, access.reason
        if self.mode == "online":
            try:
                self._run = self._open(config, run_dir, run_id)
            except Exception as error:  # refused key, lost network, changed interface
                self.mode, reason = "offline", f"online failed: {_short(error)}"
                _let_go()
        if self.mode == "offline":
            self._run = self._open(config, run_dir, run_id)
        self._run.define_metric("step")
        self._run.define_metric("*", step_metric="step")
        where = self._run.url if self.mode == "online" else f"send it with `{self._sync()}`"
        log.info("W&B %s (%s): %s", self.mode, reason, where)

    def _open(self, config: Mapping[str, Any], run_dir: Path, run_id: str) -> Any:
        wandb = import_wandb()
        return wandb.init(
            project=self.cfg.project,
            entity=self.cfg.entity,
            group=self.cfg.group,
            job_type="train",
            tags=self.cfg.tags or None,
            name=_shown_name(self.name, run_dir),
            id=run_id,
            resume="allow",
            dir=str(run_dir),
            config=dict(config),
            mode="online" if self.mode == "online" else "offline",
            settings=wandb.Settings(
                console="off",
                silent=True,
                save_code=False,
                init_timeout=START_SECONDS,
                login_timeout=START_SECONDS,
            ),
        )

    def _sync(self) -> str:
        # Sessions of one run share its id: the files of a resumed run are joined on the server.
        return f"wandb sync {Path(self._run.dir).parent}"

    def log(self, step: int, metrics: Mapping[str, Any]) -> None:
        """Record metrics against `step`, named by the section of panels they belong to."""
        values = dict(metrics)
        split = values.pop("split", None)
        row = {
            name if isinstance(value, str) else panel_name(name, split): value
            for name, value in values.items()
        }
        self._attempt("log", lambda: self._run.log({"step": step, **row}))

    def figure(self, step: int, name: str, path: Path) -> None:
        """Record the image in `path`."""

        def send() -> None:
            wandb = import_wandb()
            self._run.log({"step": step, f"figures/{name}": wandb.Image(str(path))})

        self._attempt("figure", send)

    def table(
        self, step: int, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]
    ) -> None:
        """Record a table; its name says in which section it is shown."""

        def send() -> None:
            table = import_wandb().Table(columns=list(columns), data=[list(row) for row in rows])
            self._run.log({"step": step, name: table})

        self._attempt("table", send)

    def summary(self, values: Mapping[str, Any]) -> None:
        """Record the numbers that runs are compared by, and a sweep's parameters judged by."""
        self._attempt("summary", lambda: self._run.summary.update(dict(values)))

    def uses(self, name: str, kind: str, path: Path) -> None:
        """Record a file or folder as an artifact that this run was made from.

        W&B's own `use_artifact` waits for the server, and refuses where there is none; what it
        does underneath is written to the file of an offline run as well.
        """

        if self._run is None:
            return
        try:
            made = _artifact(name, kind, path, {})
            # Not public: a later version of W&B may know it no more.
            self._run._log_artifact(made, is_user_created=True, use_after_commit=True)
        except Exception as error:
            log.warning("W&B draws no lineage from %s: %s", name, _short(error))

    def artifact(
        self, name: str, kind: str, path: Path, metadata: Mapping[str, Any] | None = None
    ) -> None:
        """Record a file or folder as an artifact that this run made."""
        self._attempt(
            "artifact",
            lambda: self._run.log_artifact(_artifact(name, kind, path, metadata or {})),
        )

    def finish(self, status: str) -> None:
        """End the run; uploads that take too long are left to `wandb sync`."""
        run = self._run
        if run is None:
            if self._ending is not None:  # given up: what was told before may still be on its way
                self._ending.join(FINISH_SECONDS)
            return
        sync = self._sync()
        thread = _in_background(lambda: self._attempt("finish", lambda: _end(run, status)))
        thread.join(FINISH_SECONDS)
        if thread.is_alive():
            log.warning("W&B did not finish in %g s: `%s` sends the rest", FINISH_SECONDS, sync)
        self._run = None

    def _attempt(self, what: str, act: Callable[[], None]) -> None:
        if self._run is None and what != "start":
            return
        try:
            act()
        except Exception as error:  # a tracker must never end the training that it watches
            log.warning(
                "W&B %s failed and is not used any more; metrics.jsonl goes on: %s",
                what,
                _short(error),
            )
            run, self._run = self._run, None
            if run is not None and what != "finish":
                self._ending = _in_background(lambda: _end_quietly(run))


def _end(run: Any, status: str) -> None:
    """End a run of W&B, even where it takes no status any more."""
    try:
        run.summary["status"] = status
    finally:
        run.finish(exit_code=0 if status == "finished" else 1)


def _end_quietly(run: Any) -> None:
    """End a run that was given up, which would stay open otherwise; the reason was logged."""
    with contextlib.suppress(Exception):
        _end(run, GIVEN_UP)


def _in_background(act: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=act, name="wandb-finish", daemon=True)
    thread.start()
    return thread


def _artifact(name: str, kind: str, path: Path, metadata: Mapping[str, Any]) -> Any:
    """Return a file or folder as W&B keeps it: one of the same content is the same version."""
    wandb = import_wandb()
    artifact = wandb.Artifact(re.sub(r"[^\w.-]+", "-", name), type=kind, metadata=dict(metadata))
    add = artifact.add_dir if path.is_dir() else artifact.add_file
    add(str(path))
    return artifact


def _shown_name(name: str, run_dir: Path) -> str:
    """Return the name of a run, with its folder where that is called otherwise, as in a sweep."""
    return name if run_dir.name == name else f"{name}-{run_dir.name}"


def _run_id(run_dir: Path, resumed_step: int | None) -> str:
    """Return the id kept in the run folder if the run goes on, otherwise a new one."""
    path = run_dir / "wandb_run.json"
    if resumed_step is not None and path.exists():
        return str(json.loads(path.read_text("utf-8"))["id"])
    run_id = uuid.uuid4().hex[:12]
    partial = path.with_suffix(".partial")  # a kill leaves no half of it
    partial.write_text(json.dumps({"id": run_id}) + "\n", "utf-8")
    partial.replace(path)
    return run_id


def _let_go() -> None:
    """End W&B's own process, which holds on to the id of a run that did not start."""
    import_wandb().teardown(exit_code=1)


def _short(error: BaseException) -> str:
    return hidden(f"{type(error).__name__}: {' '.join(str(error).split())[:200]}")
