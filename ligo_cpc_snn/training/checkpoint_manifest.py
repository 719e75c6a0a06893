"""SHA-256 of each file of a checkpoint, in the format that `sha256sum -c` reads.

Damage is found here before Orbax opens the arrays: its readers work in parallel, and those
that are cut short by another's failure leave noise on the terminal.
"""

import hashlib
import os
from pathlib import Path

from ligo_cpc_snn.training.checkpoint_record import CorruptedCheckpointError

NAME = "SHA256SUMS"
ITEMS = ("record", "state")  # the folders whose files count; Orbax still changes the others


def write_manifest(folder: Path) -> None:
    """Write the manifest of the checkpoint in `folder`, all of it or nothing."""
    lines = [f"{_digest(path)}  {path.relative_to(folder)}\n" for path in _files(folder)]
    partial = folder / f"{NAME}.partial"
    partial.write_text("".join(lines))
    os.replace(partial, folder / NAME)


def _files(folder: Path) -> list[Path]:
    return sorted(path for item in ITEMS for path in (folder / item).rglob("*") if path.is_file())


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_manifest(folder: Path) -> None:
    """Check all files of the checkpoint in `folder`; one without a manifest is let through.

    A process killed between Orbax's last write and the manifest leaves none; the digests of
    the arrays still guard such a checkpoint.

    Raises:
        CorruptedCheckpointError: names the first file that is missing or was changed.
    """
    manifest = folder / NAME
    if not manifest.exists():
        return
    for line in manifest.read_bytes().decode(errors="replace").splitlines():
        wanted, separator, name = line.partition("  ")
        if not separator:
            raise CorruptedCheckpointError(f"its {NAME} is damaged")
        path = folder / name
        if not path.is_file():
            raise CorruptedCheckpointError(f"file {name} is missing")
        if _digest(path) != wanted:
            raise CorruptedCheckpointError(f"file {name} does not match its SHA-256")
