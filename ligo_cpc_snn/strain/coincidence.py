"""Stretches of time in which all detectors have strain."""

from collections.abc import Iterable, Sequence

from ligo_cpc_snn.strain.segments import StrainSegment, by_time

Coincident = dict[str, StrainSegment]  # the same time in each detector


def coincident(
    segments: Iterable[StrainSegment], detectors: Sequence[str], minimum_seconds: float = 0.0
) -> list[Coincident]:
    """Return the stretches of time in which every detector has strain, in order of time.

    Samples are lined up to the nearest, so detectors whose sampling is not in phase are off
    by half a sample at most.

    Args:
        segments: Of one sample rate, none overlapping another of its detector.
        detectors: Names; others are left out.
        minimum_seconds: Shorter stretches are left out.

    Raises:
        ValueError: A detector is missing, sample rates differ, or there is no common time.
    """
    wanted = [segment for segment in by_time(segments) if segment.detector in detectors]
    _check_rates(wanted)
    own = {name: [s for s in wanted if s.detector == name] for name in detectors}
    missing = [name for name, found in own.items() if not found]
    if missing:
        raise ValueError(
            f"no strain of {', '.join(missing)}: expected all of {', '.join(detectors)}, "
            "change data.detectors or add files"
        )
    long_enough = common_time(wanted, detectors, minimum_seconds)
    if not long_enough:
        extents = "; ".join(f"{name} {_extent(found)}" for name, found in own.items())
        raise ValueError(
            f"detectors {', '.join(detectors)} have no common time of {minimum_seconds:g} s "
            f"or more ({extents}): add files, or lower data.real.minimum_seconds"
        )
    return long_enough


def common_time(
    segments: Iterable[StrainSegment], detectors: Sequence[str], minimum_seconds: float = 0.0
) -> list[Coincident]:
    """Return what `coincident` returns, and nothing where it raises for want of strain."""
    own = {name: [s for s in by_time(segments) if s.detector == name] for name in detectors}
    common: list[Coincident] = [{}]
    for name in detectors:
        common = [
            _intersection(group | {name: s})
            for group in common
            for s in own[name]
            if _overlap(group, s)
        ]
    long_enough = [group for group in common if _duration(group) >= minimum_seconds]
    return sorted(long_enough, key=lambda group: group[detectors[0]].gps_start)


def _overlap(group: Coincident, segment: StrainSegment) -> bool:
    return all(
        segment.gps_start < other.gps_end and other.gps_start < segment.gps_end
        for other in group.values()
    )


def _intersection(group: Coincident) -> Coincident:
    """Cut segments that overlap to the samples they have in common."""
    start = max(segment.gps_start for segment in group.values())
    firsts = {
        name: round((start - segment.gps_start) * segment.sample_rate_hz)
        for name, segment in group.items()
    }
    size = min(segment.strain.size - firsts[name] for name, segment in group.items())
    return {
        name: segment.samples(firsts[name], firsts[name] + size) for name, segment in group.items()
    }


def _duration(group: Coincident) -> float:
    return next(iter(group.values())).duration


def _extent(segments: Sequence[StrainSegment]) -> str:
    total = sum(segment.duration for segment in segments)
    return f"{total:.0f} s in {segments[0].gps_start:.0f} to {segments[-1].gps_end:.0f}"


def _check_rates(segments: Sequence[StrainSegment]) -> None:
    rates = sorted({segment.sample_rate_hz for segment in segments})
    if len(rates) > 1:
        raise ValueError(
            f"strain at {', '.join(map(str, rates))} Hz: expected one sample rate, resample first"
        )
