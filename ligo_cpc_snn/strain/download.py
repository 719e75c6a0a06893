"""Download strain files whole or not at all."""

import logging
import os
import re
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import h5py

from ligo_cpc_snn.errors import UserError

log = logging.getLogger(__name__)

# The only names a server may give our files: H-H1_GWOSC_4KHZ_R1-1126259447-32.hdf5
FILE_NAME = re.compile(r"[A-Z]-[A-Z]\d_[A-Za-z0-9_]+-\d+-\d+\.hdf5")
CONNECT_SECONDS = 10.0
READ_SECONDS = 60.0  # without any data
CHUNK_BYTES = 1 << 20


class GwoscError(UserError):
    """GWOSC's server cannot be reached, has no such data, or sent something else."""


def download(url: str, folder: Path) -> Path:
    """Download a strain file into `folder` unless a sound copy is there.

    It gets its name only when it is complete and opens as strain, so that an interrupted
    download leaves nothing behind that a later run would take for data.

    Args:
        url: http or https; its last part must be a GWOSC file name.
        folder: Made if it does not exist.

    Returns:
        Path of the file.

    Raises:
        GwoscError: The file cannot be fetched or saved, or is not strain.
    """
    parts = urlsplit(url)
    name = Path(parts.path).name
    if parts.scheme not in ("http", "https") or not FILE_NAME.fullmatch(name):
        raise GwoscError(
            f"{url!r} is not the address of a GWOSC strain file: expected a name like "
            "H-H1_GWOSC_4KHZ_R1-1126259447-32.hdf5"
        )
    path = folder / name
    if path.exists():
        if problem := _problem(path):
            log.warning("%s: %s, fetched again", path, problem)
        else:
            return path
    log.info("fetching %s", url)
    _fetch(url, path)
    return path


def _fetch(url: str, path: Path) -> None:
    """Download to a temporary name, check, then rename: atomic within a folder."""
    import requests

    part: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with (
            requests.get(url, stream=True, timeout=(CONNECT_SECONDS, READ_SECONDS)) as answer,
            tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file,
        ):
            part = Path(file.name)
            answer.raise_for_status()
            for chunk in answer.iter_content(CHUNK_BYTES):
                file.write(chunk)
        if problem := _problem(part):
            raise GwoscError(f"{url}: what the server sent is {problem}")
        os.replace(part, path)
        part = None
    except requests.RequestException as error:
        raise GwoscError(f"{url}: could not be fetched ({error})") from error
    except OSError as error:
        raise GwoscError(f"{path}: could not be saved ({error})") from error
    finally:
        if part is not None:
            part.unlink(missing_ok=True)


def _problem(path: Path) -> str | None:
    """Say what is wrong with a file that should be GWOSC strain, or return None."""
    if not h5py.is_hdf5(path):
        return "not an HDF5 file"
    try:
        with h5py.File(path, "r") as file:
            return None if "strain/Strain" in file else "an HDF5 file without strain/Strain"
    except OSError as error:
        return f"truncated or damaged ({error})"
