"""GWOSC's strain files: which of them hold a span of time, and what their names say."""

import hashlib
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from igwn_segments import segment, segmentlist

from ligo_cpc_snn.strain.client import Client, Run
from ligo_cpc_snn.strain.errors import GwoscError
from ligo_cpc_snn.strain.seconds import words

log = logging.getLogger(__name__)

# The only names that are believed: H-H1_GWOSC_4KHZ_R1-1126259447-32.hdf5
FILE_NAME = re.compile(
    r"[A-Z]-(?P<detector>[A-Z][0-9])_[A-Za-z0-9_]+-(?P<start>[0-9]{9,10})-(?P<seconds>[0-9]{1,5})"
    r"\.hdf5"
)


@dataclass(frozen=True)
class SourceFile:
    """A file of the server, as its address describes it.

    Args:
        url: Address.
        detector: Name.
        start: GPS s.
        seconds: Length.
    """

    url: str
    detector: str
    start: int
    seconds: int

    @property
    def span(self) -> segment:
        """Start and end, GPS s."""
        return segment(self.start, self.start + self.seconds)

    @property
    def key(self) -> str:
        """A name of our own for it: the server's is never used on this machine."""
        digest = hashlib.sha256(self.url.encode()).hexdigest()[:12]
        return f"{self.detector}-{self.start}-{self.seconds}-{digest}"


def source_file(url: str, detector: str) -> SourceFile:
    """Read an address that the server handed out.

    Raises:
        GwoscError: It does not end in the name of a strain file of `detector`.
    """
    name = urlsplit(url).path.rsplit("/", 1)[-1]
    match = FILE_NAME.fullmatch(name)
    if match is None or match["detector"] != detector or match["seconds"].strip("0") == "":
        raise GwoscError(
            f"{url!r} is not the address of a GWOSC strain file of {detector}: expected a name "
            f"like {detector[0]}-{detector}_GWOSC_4KHZ_R1-1126259447-32.hdf5; not asked"
        )
    return SourceFile(url, detector, int(match["start"]), int(match["seconds"]))


def find_sources(
    client: Client,
    detector: str,
    missing: segmentlist,
    events: Sequence[str],
    runs: Mapping[str, Run],
) -> list[SourceFile]:
    """Return the files to download for the seconds missing of a detector.

    Files released with the events come first, they may be short; files of the runs fill in.

    Args:
        client: Asks the server.
        detector: Name.
        missing: Whole seconds.
        events: Names; `missing` may lie around them.
        runs: All there are.

    Raises:
        GwoscError: The server cannot be asked, or names a file in a way that is not believed.
    """
    near = [source_file(url, detector) for e in events for url in client.event_urls(e, detector)]
    chosen = fewest_covering(near, missing)
    left = missing - listed(chosen)
    offered: list[SourceFile] = []
    for span in left:
        for name, run in runs.items():
            if detector in run.detectors and span.intersects(segment(run.start, run.end)):
                urls = client.run_urls(name, detector, span)
                offered += [source_file(url, detector) for url in urls]
    chosen += fewest_covering(offered, left)
    if without := missing - listed(chosen):
        log.warning("GWOSC has no file of %s for %s", detector, words(without))
    return chosen


def fewest_covering(files: Iterable[SourceFile], missing: segmentlist) -> list[SourceFile]:
    """Return few and short files that together hold all the files hold of `missing`.

    The file that holds most of it comes first, of those the shortest; a file that then adds
    nothing is left out.
    """

    def held(file: SourceFile, left: segmentlist) -> float:
        return float(abs(left & segmentlist([file.span])))

    left, chosen = missing, []
    for file in sorted(files, key=lambda f: (-held(f, missing), f.seconds, f.start)):
        if held(file, left) > 0:
            chosen.append(file)
            left = left - segmentlist([file.span])
    return chosen


def listed(files: Iterable[SourceFile]) -> segmentlist:
    """Return the seconds that files hold."""
    return segmentlist(file.span for file in files).coalesce()
