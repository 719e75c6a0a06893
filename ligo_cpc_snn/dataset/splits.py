"""Which set a second belongs to: a hash of the number of its GPS block decides, for ever.

Adding strain, detectors or events moves no second from one set to another, and two people
with different strain hold out the same seconds. Raising a fraction moves only what it must.
"""

import hashlib
import itertools
import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum

from ligo_cpc_snn.config.data_schema import RealConfig
from ligo_cpc_snn.strain.coincidence import Coincident
from ligo_cpc_snn.strain.segments import StrainSegment, between

log = logging.getLogger(__name__)

OTHER_BLOCKS = (16, 32, 64, 128, 256, 512, 1024, 4096)  # s, tried for advice


class Set(Enum):
    """What noise is for."""

    training = "training"
    validation = "validation"
    test = "test"


def set_of_block(block: int, validation_fraction: float, test_fraction: float) -> Set:
    """Return the set of the block of GPS time with this number.

    Args:
        block: GPS time divided by `data.real.block_seconds`, rounded down.
        validation_fraction, test_fraction: Of the blocks, on average over many.
    """
    digest = hashlib.blake2b(block.to_bytes(8, "big", signed=True), digest_size=8).digest()
    place = int.from_bytes(digest, "big") / 2**64  # uniform in 0 to 1
    if place < test_fraction:
        return Set.test
    return Set.validation if place >= 1 - validation_fraction else Set.training


def set_at(gps: float, real: RealConfig) -> Set:
    """Return the set of the second at `gps`."""
    block = math.floor(gps / real.block_seconds)
    return set_of_block(block, real.validation_fraction, real.test_fraction)


def cut_between_sets(segments: Iterable[StrainSegment], real: RealConfig) -> list[StrainSegment]:
    """Cut segments where the set changes; blocks of one set in a row stay together."""
    pieces: list[StrainSegment] = []
    for segment in segments:
        edges = _edges(segment.gps_start, segment.gps_end, real)
        parts = [between(segment, a, b) for a, b in itertools.pairwise(edges)]
        pieces += [part for part in parts if part.strain.size]
    return pieces


def by_set(segments: Sequence[StrainSegment], real: RealConfig) -> dict[Set, list[StrainSegment]]:
    """Return the segments of each set; none may reach from one into another."""
    return {
        kind: [s for s in segments if set_at((s.gps_start + s.gps_end) / 2, real) is kind]
        for kind in Set
    }


def check_shares(parts: Mapping[Set, Sequence[Coincident]], real: RealConfig) -> None:
    """Say how the time is shared, and refuse a set that is wanted and empty.

    Args:
        parts: Coincident strain of each set.
        real: Fractions and length of the blocks.

    Raises:
        ValueError: A set that is wanted has no strain; with a length of blocks that helps.
    """
    wanted = _wanted(real)
    seconds = {kind: sum(_seconds(part) for part in parts[kind]) for kind in Set}
    total, blocks = sum(seconds.values()), _blocks(parts, real)
    text = ", ".join(f"{kind.value} {seconds[kind]:.0f} s" for kind in Set)
    empty = [kind.value for kind in Set if wanted[kind] > 0 and not seconds[kind]]
    if empty:
        raise ValueError(
            f"no strain falls to {' and '.join(empty)} ({text}): the strain is in {blocks} GPS "
            f"blocks of data.real.block_seconds={real.block_seconds}, each in one set; "
            f"{_advice(parts, real)}"
        )
    log.info("strain in %d GPS blocks of %d s: %s", blocks, real.block_seconds, text)
    for kind in Set:
        if seconds[kind] < 0.5 * wanted[kind] * total:
            log.warning(
                "%s has %.0f of %.0f s, less than half of the share wanted (%.0f %%): %s",
                kind.value, seconds[kind], total, 100 * wanted[kind], _advice(parts, real),
            )  # fmt: skip


def _advice(parts: Mapping[Set, Sequence[Coincident]], real: RealConfig) -> str:
    """Name a length of blocks that gives every set at least half of its share."""
    stretches = [part for kind in Set for part in parts[kind]]
    total = sum(_seconds(part) for part in stretches)
    wanted = _wanted(real)
    for length in sorted(OTHER_BLOCKS, key=lambda n: abs(math.log(n / real.block_seconds))):
        other = RealConfig(
            block_seconds=length,
            validation_fraction=real.validation_fraction,
            test_fraction=real.test_fraction,
        )
        shares = dict.fromkeys(Set, 0.0)
        for part in stretches:
            first = next(iter(part.values()))
            for piece in cut_between_sets([first], other):
                if piece.duration >= real.minimum_seconds:
                    shares[set_at(piece.gps_start + piece.duration / 2, other)] += piece.duration
        if all(shares[kind] >= 0.5 * wanted[kind] * total for kind in Set):
            text = ", ".join(f"{kind.value} {shares[kind]:.0f} s" for kind in Set)
            return f"data.real.block_seconds={length} would give {text}"
    return (
        "give longer strain, raise data.real.validation_fraction or test_fraction, or lower "
        "data.real.minimum_seconds"
    )


def _wanted(real: RealConfig) -> dict[Set, float]:
    held_out = real.validation_fraction + real.test_fraction
    return {
        Set.training: 1 - held_out,
        Set.validation: real.validation_fraction,
        Set.test: real.test_fraction,
    }


def _blocks(parts: Mapping[Set, Sequence[Coincident]], real: RealConfig) -> int:
    numbers: set[int] = set()
    for part in (part for kind in Set for part in parts[kind]):
        first = next(iter(part.values()))
        numbers |= {math.floor(gps / real.block_seconds) for gps in _starts(first, real)}
    return len(numbers)


def _starts(segment: StrainSegment, real: RealConfig) -> list[float]:
    """Return the segment's start and the starts of the later blocks in it."""
    length = real.block_seconds
    first = math.floor(segment.gps_start / length) + 1
    return [segment.gps_start, *range(first * length, math.ceil(segment.gps_end), length)]


def _edges(start: float, end: float, real: RealConfig) -> list[float]:
    """Return the start, the times at which the set changes, and the end."""
    length = real.block_seconds
    first, last = math.floor(start / length), math.ceil(end / length)
    changes = [
        float(number * length)
        for number in range(first + 1, last)
        if set_at(number * length, real) is not set_at((number - 1) * length, real)
    ]
    return [start, *changes, end]


def _seconds(part: Coincident) -> float:
    return next(iter(part.values())).duration
