"""HDF5 files: looked through before anything of them is read.

HDF5 can point into other files, load filters as plug-ins, lead in circles, and unpack a kilobyte to
terabytes. A file that does is refused; what h5py makes of damaged bytes becomes one kind of error.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import h5py

from ligo_cpc_snn.errors import UserError
from ligo_cpc_snn.reading.errors import DAMAGED, FileContentError, reason
from ligo_cpc_snn.reading.heaps import check_heaps

MOST_ITEMS, DEEPEST = 200_000, 16
# What may be unpacked: this much, or so many times the file's size. Strain of one value packs
# a thousandfold, recorded strain tenfold; an hour at 16 kHz has 540 MB.
UNPACKED_BYTES, UNPACKED_RATIO = 600_000_000, 32
FILTERS = {
    h5py.h5z.FILTER_DEFLATE,
    h5py.h5z.FILTER_SHUFFLE,
    h5py.h5z.FILTER_FLETCHER32,
    h5py.h5z.FILTER_SZIP,
    h5py.h5z.FILTER_SCALEOFFSET,
    h5py.h5z.FILTER_NBIT,
    h5py.h5z.FILTER_LZF,
}


@contextmanager
def open_hdf5(path: str | Path) -> Iterator[h5py.File]:
    """Open a file for reading after looking through it.

    What goes wrong within the block is said to be the file's fault.

    Raises:
        FileNotFoundError: there is no such file.
        FileContentError: it is damaged, or has what no file of ours has.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    status = path.stat()
    try:
        _look_through(path, status.st_size, status.st_mtime_ns)
        with h5py.File(path, "r") as file:
            yield file
    except UserError:
        raise
    except DAMAGED as error:
        raise FileContentError(path, f"truncated or damaged ({reason(error)})") from error


@contextmanager
def open_bytes(path: Path, body: bytes) -> Iterator[h5py.File]:
    """Open a file's bytes as `open_hdf5` does its path.

    Raises:
        FileContentError: they are damaged, or have what no file of ours has.
    """
    try:
        check_heaps(path, body)
        with h5py.File(io.BytesIO(body), "r") as file:
            check_items(path, file, len(body))
            yield file
    except UserError:
        raise
    except DAMAGED as error:
        raise FileContentError(path, f"truncated or damaged ({reason(error)})") from error


@lru_cache(maxsize=256)
def _look_through(path: Path, size: int, changed: int) -> None:
    """Check a file of this size and time of change; strain is opened once per segment."""
    del changed  # of the key alone
    check_heaps(path)
    with h5py.File(path, "r") as file:
        check_items(path, file, size)


def check_items(path: Path, file: h5py.File, size: int) -> None:
    """Check all groups and data sets of an open file, of headers alone.

    Args:
        path: for errors.
        file: it is open.
        size: of the file in bytes.

    Raises:
        FileContentError: something points elsewhere, or unpacks to too much.
    """
    unpacked, seen = 0, 0
    places = {h5py.h5o.get_info(file.id).addr}
    waiting: list[tuple[h5py.Group, int]] = [(file, 0)]
    while waiting:
        group, depth = waiting.pop()
        seen += len(group)
        if seen > MOST_ITEMS or depth > DEEPEST:
            raise FileContentError(path, "too many groups, or groups too deep within each other")
        for name in group:
            item = _own_item(path, group, name)
            if isinstance(item, h5py.Group):
                place = h5py.h5o.get_info(item.id).addr
                if place in places:  # the file may lie about how many names a group has
                    raise FileContentError(path, f"{name} leads in a circle: not read")
                places.add(place)
                waiting.append((item, depth + 1))
            else:
                unpacked += _bytes_of(path, item)
    if unpacked > max(UNPACKED_BYTES, UNPACKED_RATIO * size):
        raise FileContentError(
            path, f"unpacks to {unpacked / 1e9:.1f} GB from {size / 1e6:.3g} MB: not read"
        )


def _own_item(path: Path, group: h5py.Group, name: str) -> Any:
    """Return an item that lies in this file, under this name alone."""
    link = group.get(name, getlink=True)
    if type(link) is not h5py.HardLink:
        raise FileContentError(path, f"{name} is a {type(link).__name__}, expected data: not read")
    item = group[name]
    if not isinstance(item, h5py.Group | h5py.Dataset):
        raise FileContentError(path, f"{name} is a {type(item).__name__}, expected data: not read")
    return item


def _bytes_of(path: Path, data: h5py.Dataset) -> int:
    """Return how much memory a data set takes when read, its headers compared with its room."""
    plist = data.id.get_create_plist()
    filters = {plist.get_filter(i)[0] for i in range(plist.get_nfilters())}
    if data.is_virtual or data.external or not filters <= FILTERS:
        raise FileContentError(
            path, f"{data.name} lies in other files or needs filters {sorted(filters)}: not read"
        )
    if data.dtype.kind == "O" and h5py.check_string_dtype(data.dtype) is None:
        raise FileContentError(
            path, f"{data.name} is of type {data.dtype}, expected numbers or text: not read"
        )
    whole = int(data.size or 0) * data.dtype.itemsize
    chunk = data.dtype.itemsize
    for length in data.chunks or ():
        chunk *= int(length)
    return max(whole, chunk if data.chunks else 0)
