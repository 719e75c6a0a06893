"""Checkpoints of a run: written atomically in the background, verified when they are read.

Order of a save: copy the state to host memory, digest it, hand it to Orbax, which writes
into a temporary folder, renames it, and only then deletes checkpoints that are not kept.
A process killed at any moment therefore leaves the checkpoint before untouched.
"""

import logging
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from jaxtyping import PyTree

from ligo_cpc_snn.config.schema import CheckpointConfig
from ligo_cpc_snn.stages import stage
from ligo_cpc_snn.training.checkpoint_manifest import write_manifest
from ligo_cpc_snn.training.checkpoint_match import stored_arrays
from ligo_cpc_snn.training.checkpoint_reading import put_aside, read_record, reason, restore_step
from ligo_cpc_snn.training.checkpoint_record import (
    CheckpointError,
    CorruptedCheckpointError,
    encode,
    host_copies,
    make_record,
)
from ligo_cpc_snn.training.checkpoint_retention import SCORE, KeepLatestAndBest, ranked
from ligo_cpc_snn.training.checkpoint_sharing import laid_out

log = logging.getLogger(__name__)

SPARE_BYTES = 1 << 20  # for Orbax's own small files
LONGEST_WAIT = 10 * 366 * 86400  # s, more than any clock is set by


def _patience() -> dict[str, int]:
    """Let one process wait as long as it takes: Orbax's limit is by a clock that may be set.

    Of several processes one may be gone; their barriers keep Orbax's limit.
    """
    return {"timeout_secs": LONGEST_WAIT} if jax.process_count() == 1 else {}


class Checkpoints:
    """Saves and restores the training state of one run.

    Args:
        directory: folder of the checkpoints, made if it is absent.
        cfg: how many are kept, and whether they are written in the background.

    Raises:
        CheckpointError: the folder cannot be made or read.
    """

    def __init__(self, directory: Path, cfg: CheckpointConfig) -> None:
        if cfg.keep_last < 1 or cfg.keep_best < 0:
            raise CheckpointError(
                f"training.checkpoint.keep_last={cfg.keep_last} and keep_best={cfg.keep_best}: "
                "expected keep_last of at least 1 and keep_best of at least 0"
            )
        self.directory = Path(directory).absolute()
        self._scores: dict[int, float] = {}
        self._current: int | None = None  # step that is in memory and on disk
        self._failed = False
        self._background = cfg.background
        try:
            self._manager = ocp.CheckpointManager(self.directory, options=self._options(cfg))
        except OSError as error:
            raise CheckpointError(
                f"cannot use {self.directory} for checkpoints: {error}; choose another run_dir"
            ) from error
        self._read_scores()

    def _options(self, cfg: CheckpointConfig) -> ocp.CheckpointManagerOptions:
        return ocp.CheckpointManagerOptions(
            preservation_policy=KeepLatestAndBest(cfg.keep_last, cfg.keep_best, self._scores),
            cleanup_tmp_directories=True,  # what a killed process left half written
            lightweight_initialize=True,  # Orbax's own metadata may be damaged: not needed
            # Made before save() returns, so that a full or read-only disk is found there.
            async_options=ocp.AsyncOptions(
                create_directories_asynchronously=False,
                **_patience(),
                post_finalization_callback=self._write_manifest,
            ),
        )

    def _write_manifest(self) -> None:
        """Orbax calls this when all files are written, before or after its final rename."""
        if jax.process_index() != 0:
            return
        folders = [
            *self.directory.glob(f"{self._current}.*tmp*"),
            *self.directory.glob(f"{self._current}"),
        ]
        if folders:
            write_manifest(folders[0])

    def _read_scores(self) -> None:
        for step in self.steps():
            try:
                metrics = read_record(self._manager, step).metrics
            except CheckpointError as error:
                log.debug("checkpoint of step %d has no readable score: %s", step, error)
            else:
                self._scores[step] = metrics.get(SCORE, np.nan)

    def steps(self) -> list[int]:
        """Return the steps of the checkpoints on disk, oldest first."""
        return sorted(int(step) for step in self._manager.all_steps())

    @stage("checkpoint")
    def save(
        self,
        step: int,
        state: PyTree,
        metrics: Mapping[str, float],
        description: Mapping[str, Any],
    ) -> bool:
        """Save the state after `step` updates.

        The state is copied before this returns and may be donated to the next step.

        Args:
            step: number of updates applied.
            state: pytree of arrays.
            metrics: numbers to keep beside it; `score` ranks checkpoints, larger is better.
            description: architecture, as numbers, strings, enums, lists and dicts.

        Returns:
            False if this very step is already saved, True otherwise.

        Raises:
            CheckpointError: it could not be written, or the one before could not; checkpoints
                that were complete stay as they were.
        """
        self.wait()
        if step == self._current:
            return False
        self._check_order(step)
        arrays = host_copies(state)
        record = make_record(step, state, arrays, metrics, description)
        self._scores[step] = record.metrics.get(SCORE, np.nan)
        items = ocp.args.Composite(
            state=ocp.args.StandardSave(laid_out(stored_arrays(arrays))),
            record=ocp.args.JsonSave(encode(record)),
        )
        self._current = step
        self._attempt(lambda: self._check_space(step, arrays))
        self._attempt(lambda: self._manager.save(step, args=items, force=True))
        if not self._background:
            self.wait()
        return True

    def _check_order(self, step: int) -> None:
        newest = max(self.steps(), default=-1)
        if step <= newest:
            raise CheckpointError(
                f"checkpoint of step {step} would come before that of step {newest} in "
                f"{self.directory}: restore before saving, or begin again with resume=never"
            )

    def _check_space(self, step: int, arrays: Mapping[str, np.ndarray]) -> None:
        needed = sum(array.nbytes for array in arrays.values()) + SPARE_BYTES
        free = shutil.disk_usage(self.directory).free
        if free < needed:
            raise CheckpointError(
                f"checkpoint of step {step} needs {needed / 1e6:.1f} MB in {self.directory}, "
                f"{free / 1e6:.1f} MB are free: make room or choose another run_dir; "
                f"{self._survivors()}"
            )

    def _attempt(self, write: Callable[[], object]) -> None:
        try:
            write()
        except CheckpointError:
            self._failed = True
            raise
        except Exception as error:
            self._failed = True
            raise CheckpointError(
                f"checkpoint of step {self._current} could not be written to {self.directory}: "
                f"{reason(error)}; check the disk's free space and permissions; "
                f"{self._survivors()}"
            ) from error

    def _survivors(self) -> str:
        kept = [p.name for p in self.directory.glob("*") if p.name.isdigit()]
        return f"complete checkpoints: {', '.join(sorted(kept, key=int)) or 'none'}"

    def restore_latest(
        self, abstract_state: PyTree, description: Mapping[str, Any] | None = None
    ) -> tuple[PyTree, int] | None:
        """Restore the newest sound checkpoint; damaged ones are reported and put aside.

        Args:
            abstract_state: the state wanted, as arrays or `jax.ShapeDtypeStruct`s.
            description: architecture of this run, compared with that of the checkpoint.

        Returns:
            The state, bit for bit as saved, and its step; None if there is no checkpoint.

        Raises:
            ArchitectureMismatchError: the checkpoint belongs to another architecture.
            CheckpointError: there are checkpoints and all are damaged.
        """
        return self._restore_first(self.steps()[::-1], abstract_state, description)

    def restore_best(
        self, abstract_state: PyTree, description: Mapping[str, Any] | None = None
    ) -> tuple[PyTree, int] | None:
        """Restore the checkpoint with the highest score, or the newest if none has a score.

        Arguments, results and errors are those of `restore_latest`.
        """
        best = ranked(self.steps(), self._scores)
        others = [step for step in self.steps()[::-1] if step not in best]
        return self._restore_first(best + others, abstract_state, description)

    def _restore_first(
        self, order: list[int], abstract_state: PyTree, description: Mapping[str, Any] | None
    ) -> tuple[PyTree, int] | None:
        self.wait()
        damaged: dict[int, str] = {}
        for step in order:
            try:
                state = restore_step(self._manager, step, abstract_state, description)
            except CorruptedCheckpointError as error:
                log.warning("checkpoint of step %d is damaged, trying the next: %s", step, error)
                damaged[step] = str(error)
                continue
            put_aside(self._manager, damaged)
            self._current = step
            return state, step
        if damaged:
            reasons = "; ".join(f"step {step}: {reason}" for step, reason in damaged.items())
            raise CheckpointError(
                f"every checkpoint in {self.directory} is damaged ({reasons}): bring the folder "
                "back from a copy, or begin again with resume=never"
            )
        return None

    def metrics(self, step: int) -> dict[str, float]:
        """Return the metrics that were saved with the checkpoint of `step`."""
        return read_record(self._manager, step).metrics

    def wait(self) -> None:
        """Wait until the checkpoint being written in the background is complete.

        Raises:
            CheckpointError: it could not be written.
        """
        if not self._failed:
            self._attempt(self._manager.wait_until_finished)

    def close(self) -> None:
        """Finish writing and let go of Orbax's threads; a failure already raised stays quiet."""
        try:
            self.wait()
        finally:
            self._close_manager()

    def _close_manager(self) -> None:
        try:
            self._manager.close()
        except Exception as error:
            if not self._failed:
                raise
            log.debug("closing after a failed save: %s", error)

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
