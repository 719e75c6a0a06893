"""Whole seconds of GPS time as lists of segments: what is wanted, known, missing."""

from igwn_segments import segment, segmentlist


def within(seconds: segmentlist, start: float, end: float) -> segmentlist:
    """Return the part of `seconds` between `start` and `end`."""
    return seconds & segmentlist([segment(start, end)])


def total(seconds: segmentlist) -> float:
    """Return how many seconds there are."""
    return float(abs(seconds))


def words(seconds: segmentlist, most: int = 3) -> str:
    """Write spans for a message: `1126259446-1126259478 and 2 more spans`."""
    shown = ", ".join(f"{start}-{end}" for start, end in seconds[:most])
    more = len(seconds) - most
    return f"{shown} and {more} more span{'s' * (more > 1)}" if more > 0 else shown
