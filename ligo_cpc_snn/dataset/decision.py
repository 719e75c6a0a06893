"""Whether a run's noise streams, as it was decided when the run began, kept in its folder.

The decision depends on the memory free at the time, and which noise a step meets on it: a run
that goes on must not decide again.
"""

import json
import logging
from pathlib import Path
from typing import NamedTuple

from ligo_cpc_snn.dataset.plan import BankError, BankPlan
from ligo_cpc_snn.strain.replacing import write_whole

log = logging.getLogger(__name__)


class Decision(NamedTuple):
    """Pieces of noise at a time, 0 where noise does not stream; the name of the file of it."""

    at_a_time: int
    noise: str = ""

    @property
    def streams(self) -> bool:
        """Return whether noise streams."""
        return self.at_a_time > 0

    def check(self, plan: BankPlan, budget_bytes: int) -> None:
        """Raise unless noise that did not stream still need not.

        Raises:
            BankError: naming the memory needed.
        """
        if not self.streams and plan.streams(budget_bytes):
            raise BankError(
                f"the run began with all its noise in memory, {plan.total / 1e6:.4g} MB with the "
                f"other banks, the budget is now {budget_bytes / 1e6:.4g} MB: raise "
                "runtime.memory_budget_gb, or begin anew by resume=never"
            )


def read_decision(record: Path | None) -> Decision | None:
    """Return the decision kept in a file, None where there is none yet.

    Raises:
        ValueError: the file holds none.
    """
    if record is None or not record.exists():
        return None
    try:
        kept = json.loads(record.read_bytes())
        return Decision(int(kept["at_a_time"]), str(kept["noise"]))
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{record} does not hold how the run's noise streams ({type(error).__name__}: {error})"
            ": restore it, delete it to decide again, or begin anew by resume=never"
        ) from error


def keep_decision(record: Path | None, made: Decision, kept: Decision | None) -> None:
    """Write a decision that was just made; of a kept one, say if the noise is not the same."""
    if kept is None and record is not None:
        write_whole(record, json.dumps(made._asdict(), indent=1).encode())
    elif kept is not None and kept.noise != made.noise:
        log.warning(
            "the noise of this run is another than when it began (%s, was %s): strain, events or "
            "settings changed",
            made.noise,
            kept.noise,
        )
