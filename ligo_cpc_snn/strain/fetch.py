"""Make the cache hold a request: find what is missing, download it, keep the seconds needed."""

import logging
from collections.abc import Mapping, Sequence

from igwn_segments import segmentlist

from ligo_cpc_snn.config.data_schema import GwoscConfig
from ligo_cpc_snn.strain.cache import StrainCache
from ligo_cpc_snn.strain.catalogue import Catalogue
from ligo_cpc_snn.strain.client import SAMPLE_RATE_HZ, Client
from ligo_cpc_snn.strain.errors import GwoscError
from ligo_cpc_snn.strain.jobs import Job, run_jobs
from ligo_cpc_snn.strain.room import strain_bytes
from ligo_cpc_snn.strain.seconds import total, words
from ligo_cpc_snn.strain.sources import find_sources, listed

log = logging.getLogger(__name__)

BYTES_PER_SECOND = 3.5 * SAMPLE_RATE_HZ  # of strain in the cache: float32, compressed
MOST_SPANS = 8  # written out in a message


def fill(
    cache: StrainCache, catalogue: Catalogue, cfg: GwoscConfig, wanted: Mapping[str, segmentlist]
) -> None:
    """Fetch what the cache does not know of the wanted seconds.

    Args:
        cache: Keeps them; the caller has pinned them.
        catalogue: With a client, unless offline.
        cfg: Events, and how to download.
        wanted: Whole seconds by detector.

    Raises:
        GwoscError: Something cannot be had, or is missing and we are offline. What could be
            had is kept.
    """
    missing = {
        name: seconds - cache.known(name, seconds, cfg.offline) for name, seconds in wanted.items()
    }
    missing = {name: seconds for name, seconds in missing.items() if seconds}
    used = strain_bytes(cache.root)
    log.info("strain cache %s: %.3f GB of %.3g GB", cache.root, used / 1e9, cache.limit / 1e9)
    if not missing:
        return
    if catalogue.client is None:
        raise GwoscError(_offline(missing, cache, cfg))
    jobs = _jobs(catalogue, catalogue.client, cfg, missing)
    _announce(missing, jobs)
    run_jobs(jobs, cache, cfg)
    for name, seconds in missing.items():
        cache.store_absence(name, seconds - listed(j.source for j in jobs if _of(j, name)))


def _jobs(
    catalogue: Catalogue, client: Client, cfg: GwoscConfig, missing: Mapping[str, segmentlist]
) -> list[Job]:
    """Share the missing seconds among files, each second to one file."""
    jobs: list[Job] = []
    runs = catalogue.runs()
    for name, seconds in missing.items():
        left = seconds
        for source in find_sources(client, name, seconds, cfg.events, runs):
            jobs.append(Job(source, left & segmentlist([source.span])))
            left = left - segmentlist([source.span])
    return jobs


def _announce(missing: Mapping[str, segmentlist], jobs: Sequence[Job]) -> None:
    for name, seconds in missing.items():
        files = sum(_of(job, name) for job in jobs)
        size = total(seconds) * BYTES_PER_SECOND / 1e6
        log.info(
            "%s: %g s to fetch (GPS %s) from %d files, to be kept in about %.1f MB",
            name,
            total(seconds),
            words(seconds),
            files,
            size,
        )


def _of(job: Job, detector: str) -> bool:
    return job.source.detector == detector


def _offline(missing: Mapping[str, segmentlist], cache: StrainCache, cfg: GwoscConfig) -> str:
    """Say what is missing and the commands that fetch it."""
    lacks = [
        f"{name} {total(seconds):g} s (GPS {words(seconds, MOST_SPANS)})"
        for name, seconds in missing.items()
    ]
    who: dict[tuple[int, int], list[str]] = {}
    for name, seconds in missing.items():
        for span in seconds:
            who.setdefault((int(span[0]), int(span[1])), []).append(name)
    host = "" if cfg.host == GwoscConfig().host else f" --host {cfg.host}"
    commands = [
        f"python -m ligo_cpc_snn.strain fetch --detectors {','.join(names)} --start {start} "
        f"--end {end}{host}"
        for (start, end), names in sorted(who.items())
    ]
    return (
        f"data.gwosc.offline=true, and the cache {cache.folder} lacks {'; '.join(lacks)}: fetch "
        f"that online with `{' && '.join(commands[:MOST_SPANS])}`"
    )
