"""The strain to search: planned from the files' metadata, read one stretch at a time."""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from igwn_segments import segment, segmentlist

from ligo_cpc_snn.config.data_schema import GwoscConfig
from ligo_cpc_snn.config.search_schema import StrainInput
from ligo_cpc_snn.errors import UserError
from ligo_cpc_snn.search.record import LEFT_OUT, SearchedSpan
from ligo_cpc_snn.strain.cache import StrainCache
from ligo_cpc_snn.strain.coincidence import Coincident, common_time
from ligo_cpc_snn.strain.files import SUFFIXES, read_strain, strain_files, survey
from ligo_cpc_snn.strain.gwosc import cached, check_usable
from ligo_cpc_snn.strain.pieces import usable_within
from ligo_cpc_snn.strain.resampling import resample_all
from ligo_cpc_snn.strain.seconds import total, words
from ligo_cpc_snn.strain.segments import (
    Span,
    StrainSegment,
    join_contiguous,
    keep_spans,
    without_dropouts,
    without_duplicates,
)

OPEN_DATA = re.compile(r"[A-Z]-[A-Z]\d_(GWOSC|LOSC)_")  # names of GWOSC's own files
UNUSABLE = "strain is not finite or stands still"

# (detector, span in GPS s) -> its usable strain there
Read = Callable[[str, Span], list[StrainSegment]]
FilesOf = Callable[[Span], list[Path]]


class InputError(UserError):
    """There is nothing to search in what was given; the message says what to do."""


class Wanted(NamedTuple):
    """What the search asks of strain.

    `longest_seconds` is what is read at a time; the stretches of a longer one overlap by
    `overlap_seconds`, which whitening and warm-up lose, so that no time is lost between them.
    """

    detectors: tuple[str, ...]
    band_high_hz: float
    minimum_seconds: float
    longest_seconds: float
    overlap_seconds: float


@dataclass(frozen=True)
class Plan:
    """What will be searched, from metadata alone.

    Args:
        wanted: by the search.
        stretches: times at which all detectors have strain, GPS s, none too long to read.
        left_out: times at which some have, and why they are not searched.
        read: of the strain.
        files_of: the files that hold a span; none where a cache does.
        files: that were given.
        source: where the strain is from, in words.
        open_data: whether it is GWOSC's.
    """

    wanted: Wanted
    stretches: tuple[Span, ...]
    left_out: tuple[SearchedSpan, ...]
    read: Read
    files_of: FilesOf
    files: tuple[Path, ...]
    source: str
    open_data: bool

    @property
    def seconds(self) -> float:
        """Time to be searched, s."""
        return total(segmentlist(segment(*span) for span in self.stretches).coalesce())

    def coincident(self, stretch: Span) -> tuple[list[Coincident], list[SearchedSpan]]:
        """Read a stretch: the strain of all detectors, and what of it cannot be used."""
        names = self.wanted.detectors
        found = [part for name in names for part in self.read(name, stretch)]
        usable = join_contiguous(without_duplicates(without_dropouts(found)))
        if len({part.sample_rate_hz for part in usable}) > 1:
            rate = min(part.sample_rate_hz for part in usable)
            usable = resample_all(usable, rate, self.wanted.band_high_hz)
        parts = common_time(usable, names)
        long = [p for p in parts if p[names[0]].duration >= self.wanted.minimum_seconds]
        everything, kept = segmentlist([segment(*stretch)]), _times(parts)
        left_out = _spans(everything - kept, UNUSABLE)
        return long, [*left_out, *_spans(kept - _times(long), _short(self.wanted))]


def _times(parts: Sequence[Coincident]) -> segmentlist:
    firsts = [next(iter(part.values())) for part in parts]
    return segmentlist(segment(s.gps_start, s.gps_end) for s in firsts).coalesce()


@contextmanager
def opened(strain: StrainInput, wanted: Wanted, cache_dir: Path) -> Iterator[Plan]:
    """Plan a search of files, or of GWOSC's strain; the plan can be read within the block.

    Raises:
        InputError: nothing was given, or no time is common to all detectors.
        FileNotFoundError, StrainFileError: a file cannot be read.
        GwoscError: strain cannot be fetched.
    """
    if strain.files:
        yield _plan_files(strain, wanted)
    elif strain.gwosc.events or strain.gwosc.start is not None:
        with cached(strain.gwosc, wanted.detectors, cache_dir) as (cache, _, seconds):
            yield _plan_cache(strain.gwosc, wanted, cache, seconds)
    else:
        raise InputError(
            "there is nothing to search: give files or folders, --event NAME, --start and --end "
            "in GPS s, or --follow DIR"
        )


def _plan_cache(
    gwosc: GwoscConfig, wanted: Wanted, cache: StrainCache, seconds: Mapping[str, segmentlist]
) -> Plan:
    usable = {n: usable_within(cache.pieces(n, seconds[n]), seconds[n]) for n in seconds}
    check_usable({name: bool(spans) for name, spans in usable.items()}, seconds)

    def read(name: str, span: Span) -> list[StrainSegment]:
        whole = segment(math.floor(span[0]), math.ceil(span[1]))
        return keep_spans(cache.read(name, segmentlist([whole])), [span])

    named = list(gwosc.events)
    if gwosc.span is not None:
        named.append(f"GPS {gwosc.span[0]} to {gwosc.span[1]}")
    source = f"GWOSC, {', '.join(named)}"
    return _plan(wanted, dict(seconds), usable, _Source(read, lambda _: [], (), source, True))


def expand(files: Sequence[str], exclude: Sequence[str]) -> list[Path]:
    """Return the files given and those in the folders given.

    Raises:
        InputError: a folder without such files.
        FileNotFoundError: there is no such file or folder.
    """
    found: list[Path] = []
    for name in files:
        path = Path(name).expanduser()
        inside = strain_files(path, exclude) if path.is_dir() else [path]
        if not path.exists():
            raise FileNotFoundError(f"{name}: there is no such file or folder")
        if not inside:
            raise InputError(f"folder {name} has no file that ends in {', '.join(SUFFIXES)}")
        found += inside
    return list(dict.fromkeys(found))


def _plan_files(strain: StrainInput, wanted: Wanted) -> Plan:
    files = expand(strain.files, strain.exclude)
    extents = [found for path in files for found in survey(path, wanted.detectors)]
    of = {name: [e for e in extents if e.detector == name] for name in wanted.detectors}
    offered = {n: segmentlist(segment(e.start, e.end) for e in of[n]).coalesce() for n in of}
    usable = {
        n: segmentlist(segment(*span) for e in of[n] for span in e.usable).coalesce() for n in of
    }
    if missing := [name for name, spans in offered.items() if not spans]:
        shown = ", ".join(path.name for path in files[:3]) + (", ..." if files[3:] else "")
        raise InputError(
            f"no strain of {', '.join(missing)} in {shown}: the detector was trained on "
            f"{', '.join(wanted.detectors)}, give files of all of them"
        )
    source = f"{len(files)} file{'s' * (len(files) > 1)}"
    is_open = any(OPEN_DATA.match(path.name) for path in files)

    def files_of(span: Span, names: Sequence[str] = wanted.detectors) -> list[Path]:
        near = (e for n in names for e in of[n] if e.start < span[1] and span[0] < e.end)
        return list(dict.fromkeys(e.path for e in near))

    def read(name: str, span: Span) -> list[StrainSegment]:
        return [s for path in files_of(span, [name]) for s in read_strain(path, [name], span)]

    return _plan(wanted, offered, usable, _Source(read, files_of, tuple(files), source, is_open))


class _Source(NamedTuple):
    """The part of a plan that does not depend on times."""

    read: Read
    files_of: FilesOf
    files: tuple[Path, ...]
    source: str
    open_data: bool


def _plan(
    wanted: Wanted,
    offered: dict[str, segmentlist],
    usable: dict[str, segmentlist],
    source: _Source,
) -> Plan:
    common = _intersection(usable)
    long = segmentlist(span for span in common if abs(span) >= wanted.minimum_seconds)
    if not long:
        shown = "; ".join(f"{name} {words(spans) or 'none'}" for name, spans in usable.items())
        raise InputError(
            f"{', '.join(usable)} have no common usable time of {wanted.minimum_seconds:g} s or "
            f"more (GPS {shown}): give files of the same time, or lower minimum_seconds"
        )
    left_out = [*_uncovered(offered, usable), *_spans(common - long, _short(wanted))]
    stretches = [part for span in long for part in split(span, wanted)]
    order = tuple(sorted(left_out, key=lambda span: (span.start, span.end, span.reason)))
    return Plan(wanted, tuple(stretches), order, **source._asdict())


def split(span: Span, wanted: Wanted) -> list[Span]:
    """Cut a span into overlapping stretches, whole seconds apart, all about as long."""
    start, end = span
    longest, overlap = wanted.longest_seconds, wanted.overlap_seconds
    new = end - start - overlap  # seconds that a single stretch would bring
    count = math.ceil(new / max(longest - overlap - 1, 1)) if end - start > longest else 1
    firsts = [start + (i * new) // count for i in range(count)]
    return list(zip(firsts, [*(first + overlap for first in firsts[1:]), end], strict=True))


def _intersection(spans: dict[str, segmentlist]) -> segmentlist:
    first, *others = spans.values()
    for other in others:
        first = first & other
    return first


def _uncovered(
    offered: dict[str, segmentlist], usable: dict[str, segmentlist]
) -> Iterator[SearchedSpan]:
    """Yield what lacks a detector, then what its quality information rules out."""
    union = segmentlist(span for spans in offered.values() for span in spans).coalesce()
    for name, spans in offered.items():
        yield from _spans(union - spans, f"no strain of {name}")
    everywhere = _intersection(offered)
    for name, spans in usable.items():
        yield from _spans(everywhere - spans, f"data quality of {name}")


def _short(wanted: Wanted) -> str:
    return f"shorter than {wanted.minimum_seconds:g} s"


def _spans(spans: segmentlist, reason: str) -> list[SearchedSpan]:
    return [SearchedSpan(float(a), float(b), LEFT_OUT, reason) for a, b in spans]
