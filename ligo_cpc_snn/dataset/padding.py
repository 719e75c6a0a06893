"""Banks of the same shapes from generation to generation, so that nothing compiles again."""

import numpy as np

from ligo_cpc_snn.dataset.banks import NEVER, HostOrDevice, NoiseBank, Transients

TRANSIENTS = 1024  # rows of a padded table


def padded_noise(bank: NoiseBank, width: int, stretches: int, numbers: int) -> NoiseBank:
    """Return the bank with room for more; none of its crops lies in what is added.

    Args:
        bank: on the host.
        width: samples of each detector.
        stretches: entries of the table of stretches.
        numbers: numbers of PSDs.
    """
    more_samples = _more(bank.strain, width)
    more_stretches = _more(bank.starts, stretches)
    more_numbers = _more(bank.bounds, numbers + 1)
    return NoiseBank(
        np.pad(bank.strain, ((0, 0), (0, more_samples))),
        np.pad(bank.starts, ((0, 0), (0, more_stretches))),
        np.pad(bank.cumulative, ((0, 0), (0, more_stretches)), constant_values=NEVER),
        np.pad(bank.bounds, ((0, 0), (0, more_numbers)), mode="edge"),
    )


def padded_transients(found: Transients) -> Transients:
    """Return a table of `TRANSIENTS` rows: those found in turn, or evenly spaced among them.

    Where none was found, each row is of a detector that is none: plain noise stays in place.
    """
    number = np.asarray(found.first).size
    if not number:
        nothing = np.zeros(TRANSIENTS, np.int32)
        return Transients(nothing - 1, nothing, nothing)
    rows = np.arange(TRANSIENTS)
    rows = rows % number if number <= TRANSIENTS else rows * number // TRANSIENTS
    return Transients(*(np.asarray(column)[rows] for column in found))


def _more(array: HostOrDevice, width: int) -> int:
    more = width - array.shape[1]
    if more < 0:
        raise ValueError(f"{array.shape[1]} columns do not fit into {width}")
    return more
