"""Reading one checkpoint: files, record and arrays are checked before anything is used."""

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils
from jaxtyping import PyTree

from ligo_cpc_snn.training.checkpoint_manifest import check_manifest
from ligo_cpc_snn.training.checkpoint_match import (
    check_architecture,
    check_arrays,
    empty_arrays,
    place,
    stored_arrays,
)
from ligo_cpc_snn.training.checkpoint_record import CorruptedCheckpointError, Record, decode

REASON_CHARACTERS = 240


def restore_step(
    manager: ocp.CheckpointManager,
    step: int,
    abstract_state: PyTree,
    description: Mapping[str, Any] | None,
) -> PyTree:
    """Return the state saved at `step`, bit for bit, on the devices of `abstract_state`.

    Raises:
        CorruptedCheckpointError: files are missing or changed.
        ArchitectureMismatchError: the checkpoint belongs to another architecture.
    """
    try:
        check_manifest(Path(manager.directory) / str(step))
    except OSError as error:
        raise CorruptedCheckpointError(reason(error)) from error
    record = read_record(manager, step)
    check_architecture(record, abstract_state, description)
    arrays = empty_arrays(record, abstract_state)
    target = ocp.args.StandardRestore(stored_arrays(arrays))
    arrays |= _read(manager, step, ocp.args.Composite(state=target)).state
    check_arrays(record, arrays)
    return place(record, arrays, abstract_state)


def read_record(manager: ocp.CheckpointManager, step: int) -> Record:
    """Return what the checkpoint of `step` says about itself.

    Raises:
        CorruptedCheckpointError: it cannot be read, or was changed.
    """
    items = ocp.args.Composite(record=ocp.args.JsonRestore())
    record = decode(_read(manager, step, items).record)
    if record.step != step:
        raise CorruptedCheckpointError(f"it lies in folder {step} and says step {record.step}")
    return record


def _read(manager: ocp.CheckpointManager, step: int, items: ocp.args.Composite) -> Any:
    try:
        return manager.restore(step, args=items)
    except Exception as error:  # whatever a damaged file makes the readers raise
        raise CorruptedCheckpointError(reason(error)) from error


def put_aside(manager: ocp.CheckpointManager, damaged: Iterable[int]) -> None:
    """Rename damaged checkpoints, so that training can reach and save those steps again."""
    for step in damaged if jax.process_index() == 0 else ():
        folder = Path(manager.directory) / str(step)
        shutil.rmtree(folder.with_name(f"{step}.damaged"), ignore_errors=True)
        if folder.exists():
            folder.rename(folder.with_name(f"{step}.damaged"))
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices("damaged checkpoints are put aside")
    manager.reload()


def reason(error: BaseException) -> str:
    """Return kind and text of an error; long ones have the path first and the cause last."""
    text = " ".join(str(error).split())
    if len(text) > REASON_CHARACTERS:
        half = REASON_CHARACTERS // 2
        text = f"{text[:half]} ... {text[-half:]}"
    return f"{type(error).__name__}: {text}"
