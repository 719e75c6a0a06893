"""Open data from GWOSC: which files hold a span of time, and the files themselves."""

import csv
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ligo_cpc_snn.config.data_schema import GwoscConfig
from ligo_cpc_snn.strain.download import GwoscError, download
from ligo_cpc_snn.strain.files import read_strain
from ligo_cpc_snn.strain.segments import (
    Span,
    StrainSegment,
    join_contiguous,
    keep_spans,
    without_duplicates,
)

log = logging.getLogger(__name__)

SAMPLE_RATE_HZ = 4096  # of the files asked for; 16384 Hz is the other choice
COVERED = 0.9  # of a span: a 32 s file is not centred on its event


def fetch_strain(
    cfg: GwoscConfig, detectors: Sequence[str], cache_dir: str | Path
) -> list[StrainSegment]:
    """Fetch and read the usable strain of the configured spans of time.

    Args:
        cfg: Events and seconds around them, or start and end.
        detectors: Names.
        cache_dir: Where files are kept between runs.

    Raises:
        GwoscError: The server cannot be reached or has no such data.
    """
    paths = fetch_segments(cfg, detectors, cache_dir)
    segments = [segment for path in paths for segment in read_strain(path, detectors)]
    return without_duplicates(keep_spans(join_contiguous(segments), spans(cfg)))


def fetch_segments(cfg: GwoscConfig, detectors: Sequence[str], cache_dir: str | Path) -> list[Path]:
    """Download the files that hold the configured spans, unless they are there already.

    Args:
        cfg: Events and seconds around them, or start and end.
        detectors: Names.
        cache_dir: Files go to its subfolder `gwosc`.

    Returns:
        The files' paths, sorted; they hold the spans and perhaps more.

    Raises:
        GwoscError: The server cannot be reached or has no such data, or a file from it is bad.
    """
    urls = [url for name in detectors for url in _urls(cfg, name)]
    folder = Path(cache_dir) / "gwosc"
    return sorted({download(url, folder) for url in urls})


def spans(cfg: GwoscConfig) -> list[Span]:
    """Return the configured spans of GPS time; events' times come from the server."""
    half = cfg.event_seconds / 2
    around = [(gps - half, gps + half) for gps in (_event_gps(e, cfg.host) for e in cfg.events)]
    if cfg.start is None and cfg.end is None and around:
        return around
    if cfg.start is None or cfg.end is None or cfg.start >= cfg.end:
        raise GwoscError(
            f"data.gwosc.start={cfg.start} and end={cfg.end}: expected start < end in GPS s, "
            "or data.gwosc.events"
        )
    return [*around, (float(cfg.start), float(cfg.end))]


def known_events(host: str) -> dict[str, float]:
    """Return name and GPS time in s of every event the server knows, in its newest version.

    Raises:
        GwoscError: The server cannot be reached.
    """
    from gwosc.api import v2

    with _clear_errors(host, "the list of events"):
        versions = sorted(v2.fetch_event_versions(host=host), key=lambda e: e["version"])
    return {event["name"]: float(event["gps"]) for event in versions}


def read_events_csv(path: str | Path) -> dict[str, float]:
    """Read name and GPS time in s of events from GWOSC's event-versions export.

    Args:
        path: CSV with the columns `name` and `gps`, and perhaps `version`: the newest counts.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It has no such columns, or a time is not a number.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"data.real.events_file={path}: no such file")
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        columns = reader.fieldnames or []
        if not {"name", "gps"} <= set(columns):
            raise ValueError(
                f"events file {path}: expected columns name and gps, found {', '.join(columns)}"
            )
        rows = sorted(reader, key=lambda row: int(row.get("version") or 0))
    try:
        return {row["name"]: float(row["gps"]) for row in rows}
    except ValueError as error:
        raise ValueError(f"events file {path}: a gps is not a number ({error})") from error


def _urls(cfg: GwoscConfig, detector: str) -> list[str]:
    """Return the files of one detector for all spans."""
    from gwosc import locate

    half = cfg.event_seconds / 2
    urls: list[str] = []
    for event in cfg.events:
        gps = _event_gps(event, cfg.host)
        with _clear_errors(cfg.host, f"strain of {detector} around {event}"):
            offered = locate.get_event_urls(
                event, detector=detector, sample_rate=SAMPLE_RATE_HZ, host=cfg.host
            )
        urls += _smallest_cover(offered, (gps - half, gps + half), f"{detector} at {event}")
    if cfg.start is not None and cfg.end is not None:
        with _clear_errors(cfg.host, f"strain of {detector} in {cfg.start} to {cfg.end}"):
            urls += locate.get_urls(
                detector, cfg.start, cfg.end, sample_rate=SAMPLE_RATE_HZ, host=cfg.host
            )
    return urls


def _smallest_cover(urls: Sequence[str], span: Span, what: str) -> list[str]:
    """Return the shortest file that holds nearly all of `span`, else all that touch it."""
    from gwosc.utils import url_segment

    def held(url: str) -> float:
        start, end = url_segment(url)
        return float(min(end, span[1]) - max(start, span[0]))

    def length(url: str) -> float:
        start, end = url_segment(url)
        return float(end - start)

    touching = [url for url in urls if held(url) > 0]
    if not touching:
        raise GwoscError(f"GWOSC has no strain of {what} in {span[0]:.1f} to {span[1]:.1f}")
    covering = [url for url in touching if held(url) >= COVERED * (span[1] - span[0])]
    if not covering:
        log.warning("GWOSC's files of %s hold only part of the time asked for", what)
        return touching
    return [min(covering, key=length)]


def _event_gps(event: str, host: str) -> float:
    from gwosc import datasets

    with _clear_errors(host, f"event {event}"):
        return float(datasets.event_gps(event, host=host))


@contextmanager
def _clear_errors(host: str, what: str) -> Iterator[None]:
    """Turn the client's errors into one line that says what was asked of whom."""
    import requests
    import tenacity

    try:
        yield
    except requests.HTTPError as error:
        raise GwoscError(f"{host} does not have {what} ({error})") from error
    except (requests.RequestException, tenacity.RetryError) as error:
        raise GwoscError(
            f"{host} did not answer when asked for {what} ({error}): check the network and "
            "data.gwosc.host, or give files in data.strain_dir"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise GwoscError(f"{host} has no {what} ({error})") from error
