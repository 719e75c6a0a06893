"""Open data from GWOSC: the strain of configured spans of time, and the known events."""

import csv
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from igwn_segments import segmentlist

from ligo_cpc_snn.config.data_schema import GwoscConfig
from ligo_cpc_snn.errors import UserError
from ligo_cpc_snn.reading.errors import one_line
from ligo_cpc_snn.strain.cache import StrainCache
from ligo_cpc_snn.strain.catalogue import Catalogue
from ligo_cpc_snn.strain.client import Client
from ligo_cpc_snn.strain.errors import GwoscError
from ligo_cpc_snn.strain.fetch import fill
from ligo_cpc_snn.strain.pieces import BrokenPieceError
from ligo_cpc_snn.strain.room import tidy
from ligo_cpc_snn.strain.seconds import total, words
from ligo_cpc_snn.strain.segments import StrainSegment
from ligo_cpc_snn.strain.wanted import requested

log = logging.getLogger(__name__)

SUBFOLDER = "strain"  # of the cache folder
READ_ATTEMPTS = 3  # when files break between their check and their reading


def fetch_strain(
    cfg: GwoscConfig, detectors: Sequence[str], cache_dir: str | Path
) -> list[StrainSegment]:
    """Return the usable strain of the configured spans, fetching what the cache lacks.

    Usable are seconds whose data-quality bits are set and that have no hardware injection
    (`strain.quality`); gaps and NaN end a segment.

    Args:
        cfg: Events and seconds around them, or start and end.
        detectors: Names.
        cache_dir: Where strain is kept between runs, in its subfolder `strain`.

    Returns:
        Segments in order of detector and time.

    Raises:
        GwoscError: The server cannot be reached or has no such data, or we are offline and the
            cache does not have it.
    """
    with cached(cfg, detectors, cache_dir) as (cache, catalogue, wanted):
        for attempt in range(1, READ_ATTEMPTS + 1):
            try:
                segments = [s for name in wanted for s in cache.read(name, wanted[name])]
                break
            except (BrokenPieceError, FileNotFoundError):  # said and deleted
                if attempt == READ_ATTEMPTS:
                    raise
                fill(cache, catalogue, cfg, wanted)
    check_usable({name: any(s.detector == name for s in segments) for name in wanted}, wanted)
    return segments


@contextmanager
def cached(
    cfg: GwoscConfig, detectors: Sequence[str], cache_dir: str | Path
) -> Iterator[tuple[StrainCache, Catalogue, dict[str, segmentlist]]]:
    """Fetch what the cache lacks; within the block nothing of it is deleted.

    Yields:
        The cache, the catalogue, and the wanted seconds by detector.
    """
    cache, catalogue = open_cache(cfg, cache_dir)
    seconds = requested(cfg, detectors, catalogue)
    wanted = {name: seconds for name in detectors}
    with cache.in_use(wanted):
        fill(cache, catalogue, cfg, wanted)
        yield cache, catalogue, wanted
    cache.make_room()
    tidy(cache.root)


def open_cache(cfg: GwoscConfig, cache_dir: str | Path) -> tuple[StrainCache, Catalogue]:
    """Return the cache and the catalogue of the configured server.

    Raises:
        GwoscError: The server's address or the folder cannot be used.
    """
    client = Client(cfg.host)
    cache = StrainCache(Path(cache_dir) / SUBFOLDER, client.host, cfg.cache_gb)
    return cache, Catalogue(cache.folder, None if cfg.offline else client)


def check_usable(found: Mapping[str, bool], wanted: Mapping[str, segmentlist]) -> None:
    """Raise GwoscError if a detector has no usable strain at all."""
    for name, any_strain in found.items():
        if not any_strain:
            raise GwoscError(
                f"GWOSC has no usable strain of {name} in {total(wanted[name]):g} s (GPS "
                f"{words(wanted[name])}): no files, or bad data quality throughout; choose "
                "another time or leave the detector out"
            )


def known_events(cfg: GwoscConfig, cache_dir: str | Path) -> dict[str, float]:
    """Return name and GPS time in s of every event GWOSC knows, in its newest version.

    Raises:
        GwoscError: The server cannot be reached and the cache does not have the list.
    """
    _, catalogue = open_cache(cfg, cache_dir)
    return catalogue.events()


def read_events_csv(path: str | Path) -> dict[str, float]:
    """Read name and GPS time in s of events from GWOSC's event-versions export.

    Args:
        path: CSV with the columns `name` and `gps`, and perhaps `version`: the newest counts.

    Raises:
        FileNotFoundError: There is no such file.
        EventsFileError: It has no such columns, or a time is not a number.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"data.real.events_file={path}: no such file")
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return dict(_events_in(csv.DictReader(file)))
    except (ValueError, csv.Error) as error:
        raise EventsFileError(one_line(f"events file {path}: {error}")) from error


class EventsFileError(UserError, ValueError):
    """A table of events cannot be used."""


def _events_in(reader: "csv.DictReader[str]") -> Iterator[tuple[str, float]]:
    columns = reader.fieldnames or []
    if not {"name", "gps"} <= set(columns):
        raise ValueError(f"expected columns name and gps, found {', '.join(columns)}")
    for row in sorted(reader, key=lambda row: int(row.get("version") or 0)):
        yield row["name"], _gps_of(row)


def _gps_of(row: dict[str, str]) -> float:
    try:
        gps = float(row["gps"] or "nan")
    except ValueError:
        gps = math.nan
    if not math.isfinite(gps):
        raise ValueError(f"a gps is not a number ({row['gps']!r} of {row['name']!r})")
    return gps
