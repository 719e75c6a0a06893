"""Look at a NIR file before it is read: HDF5 can point elsewhere, or unpack to terabytes.

Nothing here runs what a file holds. Links out of the file, virtual and external data sets, filters
that load plug-ins, references and objects are refused; sizes are summed before anything is read.
"""

from pathlib import Path
from typing import Any

import h5py
import nir

from ligo_cpc_snn.exporting.errors import ExportError
from ligo_cpc_snn.reading.heaps import check_heaps

LARGEST_FILE = 256_000_000  # bytes
LARGEST_NUMBERS = 64_000_000  # in all data sets together
MOST_ITEMS, DEEPEST = 4096, 6
REMEDY = "use a file that ligo-export wrote"


def read_graph(path: Path) -> nir.NIRGraph:
    """Return the graph of a NIR file that passed every check.

    Raises:
        ExportError: the file is missing, damaged, too large, or has what a graph does not need.
    """
    if not path.is_file():
        raise ExportError(f"{path} is not there: {REMEDY}")
    size = path.stat().st_size
    if size > LARGEST_FILE:
        raise ExportError(
            f"{path} has {size / 1e6:.0f} MB, expected {LARGEST_FILE / 1e6:.0f} at most: {REMEDY}"
        )
    try:
        check_heaps(path)
        with h5py.File(path, "r") as file:
            _check_items(path, file)
        graph = nir.read(path)
    except ExportError:
        raise
    except Exception as error:  # whatever h5py and nir make of a damaged file
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise ExportError(f"{path} cannot be read ({reason}): {REMEDY}") from error
    if not isinstance(graph, nir.NIRGraph):
        raise ExportError(f"{path} holds a {type(graph).__name__}, expected a NIRGraph: {REMEDY}")
    return graph


def _check_items(path: Path, file: h5py.File) -> None:
    numbers = items = 0
    waiting: list[tuple[h5py.Group, int]] = [(file, 0)]
    while waiting:
        group, depth = waiting.pop()
        for name in group:
            items += 1
            if items > MOST_ITEMS or depth > DEEPEST:
                raise ExportError(f"{path} has too many or too deep groups: {REMEDY}")
            item = _own_item(path, group, name)
            if isinstance(item, h5py.Group):
                waiting.append((item, depth + 1))
                continue
            numbers += _numbers(path, item)
            if numbers > LARGEST_NUMBERS:
                raise ExportError(f"{path} unpacks to over {LARGEST_NUMBERS} numbers: {REMEDY}")


def _own_item(path: Path, group: h5py.Group, name: str) -> Any:
    """Return an item that lies in this file and was not seen under another name."""
    link = group.get(name, getlink=True)
    if type(link) is not h5py.HardLink:
        raise ExportError(f"{path}: {name} is a {type(link).__name__}, expected data: {REMEDY}")
    item = group[name]
    if not isinstance(item, (h5py.Group, h5py.Dataset)):
        raise ExportError(f"{path}: {name} is a {type(item).__name__}, expected data: {REMEDY}")
    if h5py.h5o.get_info(item.id).rc > 1:
        raise ExportError(f"{path}: {name} has several names, expected a tree: {REMEDY}")
    return item


def _numbers(path: Path, data: h5py.Dataset) -> int:
    """Return how many numbers or texts a plain data set holds."""
    plain = data.dtype.kind in "iufb" or h5py.check_string_dtype(data.dtype) is not None
    elsewhere = data.is_virtual or data.external
    filters = [data.id.get_create_plist().get_filter(i)[0] for i in _filters(data)]
    known = {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32}
    if not plain or elsewhere or not known.issuperset(filters):
        raise ExportError(
            f"{path}: {data.name} is of type {data.dtype} with filters {filters}, expected numbers "
            f"or text in the file itself: {REMEDY}"
        )
    return int(data.size or 0)


def _filters(data: h5py.Dataset) -> range:
    return range(data.id.get_create_plist().get_nfilters())
