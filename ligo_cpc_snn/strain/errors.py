"""Errors about strain files."""

from pathlib import Path

from ligo_cpc_snn.errors import UserError
from ligo_cpc_snn.reading.errors import one_line


class StrainFileError(UserError, ValueError):
    """A strain file, or a folder of them, cannot be used; names it and the reason."""

    def __init__(self, path: str | Path, reason: str) -> None:
        kind = "folder" if Path(path).is_dir() else "file"
        self.path = Path(path)
        self.reason = one_line(reason)
        super().__init__(f"strain {kind} {path}: {self.reason}")


class DetectorUnknownError(StrainFileError):
    """A file holds strain but does not say of which detector."""


class GwoscError(UserError):
    """GWOSC's server cannot be reached, has no such data, or sent something else."""
