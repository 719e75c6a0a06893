"""Downloads in threads of their own: each file fetched, cut to what is needed, deleted."""

import logging
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from queue import Empty, SimpleQueue

from filelock import Timeout
from igwn_segments import segmentlist

from ligo_cpc_snn.config.data_schema import GwoscConfig
from ligo_cpc_snn.strain.addresses import GuardedSession
from ligo_cpc_snn.strain.cache import StrainCache
from ligo_cpc_snn.strain.content import read_content
from ligo_cpc_snn.strain.download import Download, Stopped
from ligo_cpc_snn.strain.errors import GwoscError
from ligo_cpc_snn.strain.progress import DownloadProgress
from ligo_cpc_snn.strain.sources import SourceFile

log = logging.getLogger(__name__)

STOP_SECONDS = 2.0  # given to the threads to end
FAILURES_TO_STOP = 3  # files that cannot be had, after which the rest is not tried


@dataclass(frozen=True)
class Job:
    """A file to download and the seconds to keep of it."""

    source: SourceFile
    keep: segmentlist


def run_jobs(jobs: Sequence[Job], cache: StrainCache, cfg: GwoscConfig) -> None:
    """Do jobs in parallel; the others go on when one fails, but not when several do.

    Args:
        jobs: What to download and keep.
        cache: Keeps it.
        cfg: Host, downloads at a time, retries.

    Raises:
        GwoscError: Files could not be had; all of them are named.
    """
    stop = threading.Event()
    waiting: SimpleQueue[Job] = SimpleQueue()
    outcomes: SimpleQueue[Exception | None] = SimpleQueue()
    errors: list[Exception] = []
    for job in jobs:
        waiting.put(job)
    with DownloadProgress(len(jobs)) as progress:
        worker = _Worker(cache, cfg, progress, stop)
        # Daemons: after an interrupt nobody waits for a server that sends nothing.
        threads = [
            threading.Thread(target=worker.work, args=(waiting, outcomes), daemon=True)
            for _ in range(min(cfg.parallel, len(jobs)))
        ]
        try:
            for thread in threads:
                thread.start()
            for _ in jobs:
                error = outcomes.get()
                if error is not None and not isinstance(error, GwoscError):
                    raise error
                errors += [] if error is None else [error]
                if len(errors) >= FAILURES_TO_STOP:
                    break
        finally:
            stop.set()
            deadline = time.monotonic() + STOP_SECONDS
            for thread in threads:
                thread.join(max(0.0, deadline - time.monotonic()))
    if errors:
        raise GwoscError("; ".join(map(str, errors))) from errors[0]


class _Worker:
    """Does jobs in the pool's threads."""

    def __init__(
        self,
        cache: StrainCache,
        cfg: GwoscConfig,
        progress: DownloadProgress,
        stop: threading.Event,
    ) -> None:
        self.cache, self.cfg, self.progress, self.stop = cache, cfg, progress, stop
        self._reading = threading.Lock()  # one file of 4096 s at a time fills memory

    def work(self, jobs: "SimpleQueue[Job]", outcomes: "SimpleQueue[Exception | None]") -> None:
        """Do jobs until there are no more, or `stop` is set; report how each ended."""
        with suppress(Empty, Stopped):
            while not self.stop.is_set():
                job = jobs.get_nowait()
                try:
                    self._locked(job)
                except Stopped:
                    raise
                except OSError as error:
                    where = f"strain cache {self.cache.root} cannot be written ({error})"
                    outcomes.put(GwoscError(f"{where}: make room or set LIGO_CACHE_DIR"))
                except Exception as error:  # the main thread raises it
                    outcomes.put(error)
                else:
                    self.progress.finished()
                    outcomes.put(None)

    def _locked(self, job: Job) -> None:
        """Download a file, keep the seconds needed and delete it, as the only process to do so."""
        lock = self.cache.source_lock(job.source.key)
        for attempt in count():
            if self.stop.is_set():
                raise Stopped
            try:
                with lock.acquire(timeout=1.0):
                    return self._fetch(job)
            except Timeout:
                if attempt == 0:
                    log.info("%s: another process fetches it, waiting", job.source.url)

    def _fetch(self, job: Job) -> None:
        source = job.source
        # Another process may have fetched it while we waited.
        keep = job.keep - self.cache.known(source.detector, job.keep)
        if not keep:
            return
        with GuardedSession(self.cfg.host) as session:
            download = Download(
                source.url,
                self.cache.incoming / f"{source.key}.part",
                session,
                take=lambda path: self._take(path, source, keep),
                progress=lambda new, coming: self.progress.add(source.key, new, coming),
                stop=self.stop,
            )
            download.run(self.cfg.retries)
        download.discard()

    def _take(self, path: Path, source: SourceFile, keep: segmentlist) -> None:
        """Move the seconds to keep from a whole file to the cache, if it is what it should be."""
        with self._reading:
            segments = read_content(path, source)
            for span in keep:
                self.cache.store(source.detector, span, segments, source.url)
