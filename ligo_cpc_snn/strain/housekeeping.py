"""What the command line does with the cache; results go to standard output."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from igwn_segments import segmentlist
from rich.console import Console
from rich.table import Table

from ligo_cpc_snn.config.data_schema import GwoscConfig
from ligo_cpc_snn.reading.errors import FileContentError
from ligo_cpc_snn.strain.gwosc import SUBFOLDER, cached, check_usable
from ligo_cpc_snn.strain.pieces import Piece, is_sound, usable, usable_within
from ligo_cpc_snn.strain.room import all_pieces, disk_bytes, make_room, tidy
from ligo_cpc_snn.strain.seconds import total


def fetch(cfg: GwoscConfig, detectors: Sequence[str], cache_dir: Path) -> int:
    """Fetch what a request lacks and print what there is of it."""
    with cached(cfg, detectors, cache_dir) as (cache, catalogue, wanted):
        catalogue.events()  # so that an offline run knows what to cut out
        found = {
            name: usable_within(cache.pieces(name, wanted[name]), wanted[name]) for name in wanted
        }
        for name, spans in found.items():
            print(
                f"{name}: {total(spans):.1f} s usable of {total(wanted[name]):.0f} s asked for, "
                f"in {len(spans)} stretch{'es' * (len(spans) > 1)}"
            )
        check_usable({name: bool(spans) for name, spans in found.items()}, wanted)
    print(_size_line(cache.root))
    return 0


def list_cache(cache_dir: Path) -> int:
    """Print spans, usable seconds, size and last use of the cache's files."""
    root = cache_dir / SUBFOLDER
    table = Table(
        "server", "detector", "GPS start", "seconds", "usable", "MB", "last used", box=None
    )
    for piece in all_pieces(root):
        status = piece.path.stat()
        table.add_row(
            piece.path.parent.name,
            piece.detector,
            str(piece.start),
            str(piece.seconds),
            "no file" if piece.absent else _usable_words(piece),
            f"{status.st_size / 1e6:.2f}",
            time.strftime("%Y-%m-%d %H:%M", time.localtime(status.st_mtime)),
        )
    if table.row_count:
        Console(width=None if Console().is_terminal else 120).print(table)
    print(_size_line(root))
    return 0


def verify(cache_dir: Path) -> int:
    """Check all files; print the broken ones and return 1 if there are any."""
    root = cache_dir / SUBFOLDER
    pieces = all_pieces(root)
    broken = [piece for piece in pieces if not is_sound(piece)]
    for piece in broken:
        print(f"broken: {piece.path}")
    print(f"{len(pieces) - len(broken)} of {len(pieces)} files are as they were written")
    if broken:
        print("the next fetch of their time deletes and replaces them; clean deletes them now")
    return 1 if broken else 0


def clean(
    cache_dir: Path, *, everything: bool, older_than: float | None, to_gb: float | None
) -> int:
    """Delete broken files, unfinished downloads, and what is asked for; print the names.

    Args:
        cache_dir: Of all caches.
        everything: All that no running process needs.
        older_than: Files not used for so many days.
        to_gb: The least recently used, until so much is left.
    """
    root = cache_dir / SUBFOLDER
    deleted: list[Path] = tidy(root, 0.0)
    deleted += make_room(root, 0.0, which=lambda piece: not is_sound(piece))
    if everything:
        deleted += make_room(root, 0.0)
        for path in root.glob("*/catalogue.json"):
            path.unlink()
            deleted.append(path)
    if older_than is not None:
        deleted += make_room(root, 0.0, which=_older(older_than * 86400.0))
    if to_gb is not None:
        deleted += make_room(root, to_gb * 1e9)
    for path in deleted:
        print(f"deleted {path}")
    print(f"deleted {_files(len(deleted))}; {_size_line(root)}")
    return 0


def _older(seconds: float) -> Callable[[Piece], bool]:
    return lambda piece: piece.age() > seconds


def _usable_words(piece: Piece) -> str:
    try:
        found: segmentlist = usable(piece)
    except (OSError, FileContentError):
        return "broken"
    return f"{total(found):.0f}"


def _size_line(root: Path) -> str:
    return f"strain cache {root}: {_files(len(all_pieces(root)))}, {disk_bytes(root) / 1e9:.3f} GB"


def _files(count: int) -> str:
    return f"{count} file{'s' * (count != 1)}"
