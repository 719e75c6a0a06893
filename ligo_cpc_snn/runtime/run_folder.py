"""The folder of a run, held by one process at a time."""

import json
import os
import platform
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from ligo_cpc_snn.errors import UserError

LOCK_FILE = ".lock"
HOLDER_FILE = ".lock_holder.json"
MINIMUM_FREE_BYTES = 200_000_000  # checkpoints, logs and figures of a small run


class RunFolderError(UserError):
    """The run folder cannot be used; the text is a single line."""


@contextmanager
def open_run_folder(
    path: str | Path, minimum_free_bytes: int = MINIMUM_FREE_BYTES, setting: str = "run_dir"
) -> Iterator[Path]:
    """Make the folder of a run and hold it until the block ends.

    The lock is the operating system's: it goes with the process, also after ``kill -9``.

    Args:
        path: of the folder; parents are made.
        minimum_free_bytes: that the file system must have left.
        setting: what another folder is given by, for messages.

    Yields:
        The folder, absolute.

    Raises:
        RunFolderError: it cannot be made or written, the file system is full, or
            another process holds it.
    """
    folder = Path(path).expanduser().absolute()
    _make(folder, setting)
    lock = _acquire(folder, setting)
    try:
        _check_space(folder, minimum_free_bytes, setting)
        _write_holder(folder, setting)
        yield folder
    finally:
        (folder / HOLDER_FILE).unlink(missing_ok=True)
        lock.release()


def _make(folder: Path, setting: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunFolderError(
            f"run folder {folder} cannot be made ({error.strerror}): give another {setting}="
        ) from error


def _acquire(folder: Path, setting: str) -> FileLock:
    lock = FileLock(folder / LOCK_FILE)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise RunFolderError(
            f"run folder {folder} is in use by {_holder(folder)}: wait for it, stop it, or give "
            f"another name= or {setting}="
        ) from error
    except OSError as error:
        raise RunFolderError(
            f"run folder {folder} is not writable ({error.strerror}): give another {setting}="
        ) from error
    return lock


def _check_space(folder: Path, needed: int, setting: str) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise RunFolderError(
            f"run folder {folder} has {free / 1e6:.0f} MB left, expected at least "
            f"{needed / 1e6:.0f} MB: free some, or give another {setting}="
        )


def _write_holder(folder: Path, setting: str) -> None:
    holder = {
        "pid": os.getpid(),
        "host": platform.node(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    try:
        (folder / HOLDER_FILE).write_text(json.dumps(holder), encoding="utf-8")
    except OSError as error:
        raise RunFolderError(
            f"run folder {folder} is not writable ({error.strerror}): give another {setting}="
        ) from error


def _holder(folder: Path) -> str:
    try:
        holder = json.loads((folder / HOLDER_FILE).read_text(encoding="utf-8"))
        return f"process {holder['pid']} on {holder['host']} since {holder['since']}"
    except (OSError, ValueError, KeyError, TypeError):  # it starts or ends at this very moment
        return "another process"
