"""Run the engine over a plan, group by group; what an earlier process finished is read."""

import logging
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from igwn_segments import segment, segmentlist
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ligo_cpc_snn.search.engine import Engine, Searched
from ligo_cpc_snn.search.inputs import Plan
from ligo_cpc_snn.search.packed import PackedSpikes
from ligo_cpc_snn.search.record import ANALYSED, LEFT_OUT, WARM_UP, SearchedSpan
from ligo_cpc_snn.search.throughput import Throughput
from ligo_cpc_snn.stages import stage
from ligo_cpc_snn.strain.coincidence import Coincident
from ligo_cpc_snn.strain.segments import Span
from ligo_cpc_snn.wiring import search_progress
from ligo_cpc_snn.wiring.search_progress import Group, key_of

log = logging.getLogger(__name__)

STRETCHES_PER_STREAM = 2  # of a group: more waste less at its end, and lose more when stopped


class Found(NamedTuple):
    """What the engine found, in the order of time; no frame of a part lies in an earlier one."""

    parts: tuple[Searched, ...]
    left_out: tuple[SearchedSpan, ...]
    throughput: Throughput


def groups_of(plan: Plan, streams: int) -> list[tuple[Span, ...]]:
    """Return the stretches of a plan in the groups that are searched side by side."""
    size = STRETCHES_PER_STREAM * streams
    return [plan.stretches[i : i + size] for i in range(0, len(plan.stretches), size)]


@stage("search")
def search_plan(
    plan: Plan,
    engine: Engine,
    progress: search_progress.Progress,
    groups: Sequence[tuple[Span, ...]] | None = None,
) -> Found:
    """Search every stretch of a plan, or read what was found in it before.

    Args:
        groups: one or more of the plan's, to search these only.
    """
    groups = groups_of(plan, engine.streams) if groups is None else groups
    found: list[Group] = []
    with _bar() as bar:
        task = bar.add_task("", total=round(plan.seconds, 1))
        for stretches in groups:
            key = _key(plan, stretches)
            group = progress.load(key)
            if group is None or (engine.keep_features and _has_none(group)):
                group = progress.save(key, _search(plan, engine, stretches))
            found.append(group)
            bar.update(task, advance=sum(part.seconds for part in group.parts))
    parts = sorted((p for group in found for p in group.parts), key=lambda p: p.gps_start)
    return Found(
        tuple(_once(parts, engine.detector.frame_seconds)),
        tuple(span for group in found for span in group.left_out),
        Throughput(*map(sum, zip(*(group.throughput for group in found), strict=True))),
    )


def _key(plan: Plan, stretches: Sequence[Span]) -> str:
    files = sorted({path for stretch in stretches for path in plan.files_of(stretch)})
    stats = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return f"{round(stretches[0][0])}-{key_of([stretches, stats])}"


def _has_none(group: Group) -> bool:
    """Whether features were not kept: the search that wrote the group made no slides."""
    return any(part.gps.size and part.features is None for part in group.parts)


def _search(plan: Plan, engine: Engine, stretches: Sequence[Span]) -> Group:
    left_out: list[SearchedSpan] = []

    def segments() -> Iterator[Coincident]:
        for stretch in stretches:
            found, unusable = plan.coincident(stretch)
            left_out.extend(unusable)
            yield from found

    before = engine.throughput
    parts = tuple(engine.run(segments()))
    spent = (after - b for after, b in zip(engine.throughput, before, strict=True))
    return Group(parts, tuple(left_out), Throughput(*spent))


def _once(parts: Sequence[Searched], frame_seconds: float) -> Iterator[Searched]:
    """Drop the frames at a part's start that the one before has: stretches overlap."""
    end = -np.inf
    for part in parts:
        first = int(np.searchsorted(part.gps, end + frame_seconds / 2))
        kept = part._replace(gps=part.gps[first:], value=part.value[first:])
        if isinstance(part.features, PackedSpikes):
            kept = kept._replace(features=part.features.from_frame(first))
        elif part.features is not None:
            kept = kept._replace(features=part.features[:, first:])
        end = max(end, float(part.gps[-1])) if part.gps.size else end
        yield kept


def spans_of(plan: Plan, found: Found, frame_seconds: float) -> list[SearchedSpan]:
    """Return what became of all time that was offered, in the order of time."""
    analysed = segmentlist(
        segment(float(p.gps[0]) - frame_seconds, float(p.gps[-1]))
        for p in found.parts
        if p.gps.size
    ).coalesce()
    read = segmentlist(segment(p.gps_start, p.gps_start + p.seconds) for p in found.parts)
    spans = [SearchedSpan(float(a), float(b), ANALYSED) for a, b in analysed]
    for part in found.parts:
        own = segmentlist([segment(part.gps_start, part.gps_start + part.seconds)]) - analysed
        state = WARM_UP if part.left_out is None else LEFT_OUT
        reason = part.left_out or "whitening filter, and warm-up of the network"
        spans += [SearchedSpan(float(a), float(b), state, reason) for a, b in own]
    for span in [*plan.left_out, *found.left_out]:
        rest = segmentlist([segment(span.start, span.end)]) - read.coalesce()
        spans += [SearchedSpan(float(a), float(b), LEFT_OUT, span.reason) for a, b in rest]
    return sorted(spans, key=lambda span: (span.start, span.end, span.reason))


def _bar() -> Progress:
    """Return a progress bar in seconds of strain; on a terminal only."""
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.completed:.0f} of {task.total:.0f} s of strain"),
        BarColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
