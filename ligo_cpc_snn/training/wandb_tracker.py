"""Weights & Biases as a tracker that can fail without harming the run."""

import json
import logging
import os
import re
import threading
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ligo_cpc_snn.config.schema import WandbConfig
from ligo_cpc_snn.training.wandb_access import Access, choose_access, import_wandb

logger = logging.getLogger(__name__)

START_SECONDS = 30.0
FINISH_SECONDS = 60.0  # for uploads at the end


class WandbTracker:
    """Sends metrics, figures and artifacts to W&B, online or into the run folder.

    A run that is resumed goes on under the same id. Any failure is logged once, with its
    reason, and ends the use of W&B; the API key is read by `wandb` itself and kept nowhere.
    """

    def __init__(self, cfg: WandbConfig, name: str) -> None:
        self.cfg, self.name = cfg, name
        self.mode = "disabled"
        self._run: Any = None

    def start(self, config: Mapping[str, Any], run_dir: Path, resumed_step: int | None) -> None:
        """Begin, or go on with, the run; online falls back to offline."""
        access = choose_access(self.cfg.mode)
        if access.mode == "disabled":
            logger.info("W&B is disabled: %s", access.reason)
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
        logger.info("W&B %s (%s): %s", self.mode, reason, where)

    def _open(self, config: Mapping[str, Any], run_dir: Path, run_id: str) -> Any:
        wandb = import_wandb()
        return wandb.init(
            project=self.cfg.project,
            entity=self.cfg.entity,
            tags=self.cfg.tags or None,
            name=self.name,
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
        # Two offline sessions of one run share its id: --append joins them on the server.
        return f"wandb sync --append {Path(self._run.dir).parent}"

    def log(self, step: int, metrics: Mapping[str, Any]) -> None:
        """Record metrics against `step`; a split becomes a prefix, as in `train/loss`."""
        values = dict(metrics)
        split = values.pop("split", None)
        prefix = f"{split}/" if split else ""
        row = {
            name if isinstance(value, str) else f"{prefix}{name}": value
            for name, value in values.items()
        }
        self._attempt("log", lambda: self._run.log({"step": step, **row}))

    def figure(self, step: int, name: str, path: Path) -> None:
        """Record the image in `path`."""

        def send() -> None:
            wandb = import_wandb()
            self._run.log({"step": step, f"figures/{name}": wandb.Image(str(path))})

        self._attempt("figure", send)

    def artifact(self, name: str, path: Path) -> None:
        """Record a file or folder as a model artifact."""

        def send() -> None:
            wandb = import_wandb()
            artifact = wandb.Artifact(re.sub(r"[^\w.-]+", "-", name), type="model")
            add = artifact.add_dir if path.is_dir() else artifact.add_file
            add(str(path))
            self._run.log_artifact(artifact)

        self._attempt("artifact", send)

    def finish(self, status: str) -> None:
        """End the run; uploads that take too long are left to `wandb sync`."""
        run = self._run
        if run is None:
            return

        def end() -> None:
            run.summary["status"] = status
            run.finish(exit_code=0 if status == "finished" else 1)

        thread = threading.Thread(
            target=self._attempt, args=("finish", end), name="wandb-finish", daemon=True
        )
        sync = self._sync()
        thread.start()
        thread.join(FINISH_SECONDS)
        if thread.is_alive():
            logger.warning("W&B did not finish in %g s: `%s` sends the rest", FINISH_SECONDS, sync)
        self._run = None

    def _attempt(self, what: str, act: Callable[[], None]) -> None:
        if self._run is None and what != "start":
            return
        try:
            act()
        except Exception as error:  # a tracker must never end the training that it watches
            logger.warning(
                "W&B %s failed and is not used any more; metrics.jsonl goes on: %s",
                what,
                _short(error),
            )
            self._run = None


def _run_id(run_dir: Path, resumed_step: int | None) -> str:
    """Return the id kept in the run folder if the run goes on, otherwise a new one."""
    path = run_dir / "wandb_run.json"
    if resumed_step is not None and path.exists():
        return str(json.loads(path.read_text("utf-8"))["id"])
    run_id = uuid.uuid4().hex[:12]
    path.write_text(json.dumps({"id": run_id}) + "\n", "utf-8")
    return run_id


def _let_go() -> None:
    """End W&B's own process, which holds on to the id of a run that did not start."""
    import_wandb().teardown(exit_code=1)


def _short(error: BaseException) -> str:
    text = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    key = os.environ.get("WANDB_API_KEY")
    return text.replace(key, "<key>") if key else text
