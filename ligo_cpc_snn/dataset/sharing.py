"""Making a bank of signals together: each process makes its chunks, then all have all of them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from ligo_cpc_snn.dataset.banks import SignalBank

SLICE_BYTES = 64_000_000  # exchanged at a time, of each process


def _same(rows: np.ndarray) -> np.ndarray:
    return rows


@dataclass(frozen=True)
class Share:
    """The chunks of a bank that this process makes: every `count`-th one.

    `gather` returns the rows of all processes, one process after the other; it must be called
    by all of them, in the same order, from their main threads.
    """

    index: int = 0
    count: int = 1
    gather: Callable[[np.ndarray], np.ndarray] = _same

    def owns(self, chunk: int) -> bool:
        """Return whether this process makes a chunk, by its number in the bank."""
        return chunk % self.count == self.index


ALL = Share()


class Chunk(NamedTuple):
    """Signals made at a time: its number in the bank, those of its block and in that block."""

    number: int
    block: int
    of_block: int
    places: Int[np.ndarray, "signal"]  # in the bank


def chunks_of(
    shares: Sequence[int], order: Int[np.ndarray, "signal"], size: int
) -> Iterator[Chunk]:
    """Yield the chunks of a bank.

    Args:
        shares: signals for each block.
        order: the place in the bank of each signal, in the order they are made.
        size: of a chunk.
    """
    first = number = 0
    for block, share in enumerate(shares):
        for of_block in range(-(-share // size)):
            places = order[first : first + min(size, share - of_block * size)]
            yield Chunk(number, block, of_block, places)
            first += places.size
            number += 1


def exchange(bank: SignalBank, owners: Int[np.ndarray, "signal"], share: Share) -> SignalBank:
    """Return the whole bank, of which each process made the rows that are its own.

    Args:
        bank: on the host.
        owners: number of the process that made each row.
    """
    if share.count == 1:
        return bank
    rows = [np.flatnonzero(owners == process) for process in range(share.count)]
    return bank._replace(
        strain=_exchanged(np.asarray(bank.strain), rows, share),
        snr=_exchanged(np.asarray(bank.snr), rows, share),
    )


def _exchanged(array: np.ndarray, rows: list[np.ndarray], share: Share) -> np.ndarray:
    longest = max(own.size for own in rows)
    at_a_time = max(1, SLICE_BYTES // max(array[:1].nbytes, 1))
    whole = np.empty_like(array)
    for start in range(0, longest, at_a_time):
        parts = [own[start : start + at_a_time] for own in rows]
        size = max(part.size for part in parts)
        sent = np.zeros((size, *array.shape[1:]), array.dtype)
        sent[: parts[share.index].size] = array[parts[share.index]]
        got = share.gather(sent)
        for process, part in enumerate(parts):
            whole[part] = got[process * size : process * size + part.size]
    return whole
