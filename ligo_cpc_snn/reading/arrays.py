"""Arrays of `.npz` and `.npy` files: sizes in headers are compared with the file, nothing runs.

`numpy.load` allocates what a header asks for before it finds the bytes missing, and unpacks
whatever is packed.
"""

import zipfile
import zlib
from pathlib import Path
from typing import IO

import numpy as np
from jaxtyping import Shaped

from ligo_cpc_snn.reading.errors import DAMAGED, FileContentError, reason
from ligo_cpc_snn.reading.hdf5 import UNPACKED_BYTES, UNPACKED_RATIO

MOST_ARRAYS = 65_536
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
BROKEN = (*DAMAGED, EOFError, SyntaxError, zipfile.BadZipFile, zlib.error)

Array = Shaped[np.ndarray, "..."]


def load_arrays(path: str | Path) -> dict[str, Array]:
    """Return all arrays of a `.npz` file by name.

    Raises:
        FileNotFoundError: there is no such file.
        FileContentError: it is damaged, holds objects, or unpacks to more than it may.
    """
    path = Path(path)
    # Opened here because numpy leaves the file open when it is broken.
    with path.open("rb") as stream:
        try:
            _look_through(path, stream)
            stream.seek(0)
            with np.load(stream, allow_pickle=False) as saved:
                return {name: saved[name] for name in saved.files}
        except FileContentError:
            raise
        except BROKEN as error:
            raise FileContentError(path, f"truncated or damaged ({reason(error)})") from error


def map_array(path: str | Path) -> Array:
    """Return the array of a `.npy` file, memory-mapped.

    Raises:
        FileNotFoundError: there is no such file.
        FileContentError: it is damaged or holds objects.
    """
    try:
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except FileNotFoundError:
        raise
    except BROKEN as error:
        raise FileContentError(path, f"truncated or damaged ({reason(error)})") from error


def _look_through(path: Path, stream: IO[bytes]) -> None:
    size = path.stat().st_size
    with zipfile.ZipFile(stream) as packed:
        members = packed.infolist()
        unpacked = sum(member.file_size for member in members)
        if len(members) > MOST_ARRAYS or unpacked > max(UNPACKED_BYTES, UNPACKED_RATIO * size):
            raise FileContentError(
                path,
                f"{len(members)} arrays that unpack to {unpacked / 1e9:.1f} GB from "
                f"{size / 1e6:.3g} MB: not read",
            )
        for member in members:
            if member.compress_type not in METHODS or not member.filename.endswith(".npy"):
                raise FileContentError(path, f"{member.filename!r} in it is no array of numpy's")
            with packed.open(member) as body:
                _check_header(path, member, body)


def _check_header(path: Path, member: zipfile.ZipInfo, body: IO[bytes]) -> None:
    """Compare what an array's header asks for with what its member of the archive holds."""
    version = np.lib.format.read_magic(body)
    read = np.lib.format.read_array_header_1_0
    shape, _, dtype = (read if version == (1, 0) else np.lib.format.read_array_header_2_0)(body)
    count = 1
    for length in shape:  # in whole numbers: a product of numpy's wraps around
        count *= int(length)
    if dtype.hasobject or any(length < 0 for length in shape):
        raise FileContentError(path, f"{member.filename!r} in it is of type {dtype}: not read")
    if count * dtype.itemsize > member.file_size:
        raise FileContentError(
            path,
            f"{member.filename!r} in it has {member.file_size} bytes, its header asks for "
            f"{count * dtype.itemsize}",
        )
