"""Processes that train one run together: noticed, connected, and ended together.

Whether a process was started with others is read from variables alone, so that a run of one
process pays nothing. Who they are is `jax.distributed`'s own detection (SLURM, Open MPI); where
none of these started them, JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and JAX_PROCESS_ID say so.
CPU processes exchange arrays by Gloo, GPUs by NCCL. No JAX is imported at the top: the
environment comes first.
"""

import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from ligo_cpc_snn.config.runtime_schema import Distributed, RuntimeConfig, Tuning
from ligo_cpc_snn.errors import UserError

log = logging.getLogger(__name__)

OTHERS = "processes"  # folder, in that of the run, of the logs of all processes but the first
# What JAX says when another process is gone: Gloo, NCCL, the coordination service.
_LOST = ("Gloo", "NCCL", "nccl", "coordination service", "CoordinationService", "heartbeat")


class ProcessError(UserError):
    """The processes of a run cannot work together; the text is a single line."""


def started_together(setting: Distributed, variables: Mapping[str, str] = os.environ) -> bool:
    """Return whether this process is one of several that shall train one run.

    Args:
        setting: `off` makes every process a run of its own.
        variables: of the environment.
    """
    if setting is Distributed.off:
        return False
    # An `sbatch` script itself has the number of its tasks, but is no step of `srun`.
    tasks = "SLURM_NTASKS" if "SLURM_STEP_NODELIST" in variables else ""
    counts = (tasks, "OMPI_COMM_WORLD_SIZE", "JAX_NUM_PROCESSES")
    return any(_number(name, variables) > 1 for name in counts if name)


def _number(name: str, variables: Mapping[str, str]) -> int:
    text = variables.get(name, "1")
    if not text.isdecimal():
        raise ProcessError(f"{name}={text}: expected a whole number; correct it, or unset it")
    return int(text)


def connect(variables: Mapping[str, str] = os.environ) -> tuple[int, int]:
    """Meet the other processes; the environment is prepared and JAX has computed nothing yet.

    Returns:
        Number of this process, from 0, and of all.

    Raises:
        ProcessError: they cannot be found or reached.
    """
    import jax

    own: dict[str, Any] = {}
    if "JAX_NUM_PROCESSES" in variables:
        if "JAX_PROCESS_ID" not in variables or "JAX_COORDINATOR_ADDRESS" not in variables:
            raise ProcessError(
                f"JAX_NUM_PROCESSES={variables['JAX_NUM_PROCESSES']} without JAX_PROCESS_ID and "
                "JAX_COORDINATOR_ADDRESS (host:port of process 0): give all three, or "
                "runtime.distributed=off"
            )
        own = {
            "num_processes": _number("JAX_NUM_PROCESSES", variables),
            "process_id": _number("JAX_PROCESS_ID", variables),
        }
    try:
        jax.distributed.initialize(**own)
        return jax.process_index(), jax.process_count()
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ProcessError(
            f"this process was started with others and cannot reach them ({reason}): start all of "
            "them, open the coordinator's port (JAX_COORDINATOR_PORT), or give "
            "runtime.distributed=off for a run of its own"
        ) from error


def runtime_of_several(runtime: RuntimeConfig) -> RuntimeConfig:
    """Return settings that are the same on every host.

    Without a fallback: one process on another device would stop them all. Without what
    `ligo-optimize` keeps in a host's own cache: all must compile the same collectives.
    """
    return replace(runtime, fallback=False, tuning=Tuning.off)


def quieter(runtime: RuntimeConfig, index: int) -> RuntimeConfig:
    """Return settings by which only process 0 tells what goes well."""
    return replace(runtime, log_level="WARNING") if index else runtime


def folder_of(run_dir: Path, index: int) -> Path:
    """Return where a process keeps its lock and its log: only the first one in the run's own."""
    return run_dir if index == 0 else run_dir / OTHERS / str(index)


@contextmanager
def ended_together() -> Iterator[None]:
    """End this process at once after an error, so that the others notice and end too.

    Leaving as usual would wait for the others, which wait for this one.
    """
    try:
        yield
    except Exception as error:
        # Before the run's log begins there is no handler, and logging's own writes no level.
        prefix = "" if logging.getLogger().hasHandlers() else "error: "
        log.error("%s%s", prefix, told(error))
        _leave(1)


def told(error: Exception) -> str:
    """Return the message of an error; the loss of another process is said as that."""
    text = " ".join(str(error).split())
    if isinstance(error, UserError) or not any(word in text for word in _LOST):
        return text
    return (
        "another process of this run has ended or cannot be reached, so this one ends as well: "
        "the log of that one says why. Start all again by the same command, the run goes on "
        f"from its last checkpoint ({type(error).__name__}: {text[:200]})"
    )


def _leave(code: int) -> None:
    for handler in logging.getLogger().handlers:
        handler.flush()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
