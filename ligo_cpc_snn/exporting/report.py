"""What an export's check found, in lines for the terminal; a table of energies in Markdown."""

from collections.abc import Mapping
from typing import Any, Protocol

from ligo_cpc_snn.exporting.agreement import SpikeAgreement
from ligo_cpc_snn.exporting.checking import Checked


class Costs(Protocol):
    """Of a detector, per second of strain."""

    @property
    def front_end_macs(self) -> float:
        """Multiply-accumulates of encoder, bridge and, if it is read, context."""

    @property
    def head_macs(self) -> float:
        """Multiply-accumulates of a graded network in place of the spiking one."""

    @property
    def accumulates(self) -> float:
        """Additions that spikes cause in the spiking network."""

    @property
    def spikes(self) -> float:
        """Spikes of all channels and neurons."""

    @property
    def front_end_watts(self) -> float:
        """Power of the front end, W."""

    @property
    def head_watts(self) -> float:
        """Power of the spiking network, or of the graded one, W."""

    @property
    def watts(self) -> float:
        """Power of both, W."""


def lines(found: Checked, source: str) -> list[str]:
    """Return the lines of one check."""
    verdict = "agrees" if found.good else "DIFFERS"
    told = [
        f"{found.name}: {verdict} over {found.seconds:g} s ({source})",
        f"  front end, in chunks: {found.front_end_differing} of {found.bridge_spikes} spikes "
        "differ from the detector's",
        f"  snn.nir read back here: {_words(found.round_trip)}",
    ]
    if found.simulated is None:
        return [*told, "  not run in an independent simulator"]
    told.append(f"  snn.nir in snnTorch (NIRTorch): {_words(found.simulated)}")
    if found.compact is not None:
        told.append(f"  snn_lif.nir in snnTorch, reset by subtraction: {_words(found.compact)}")
    if found.literal is not None:
        literal = _words(found.literal)
        told.append(f"  the same, were its reset to zero as NIR's equation has it: {literal}")
    return told


def _words(x: SpikeAgreement) -> str:
    text = f"{x.differing} of {x.spikes} spikes differ"
    if x.differing:
        text += (
            f" ({x.by_rounding} where the membrane was within {x.largest_margin:.1e} of its "
            f"threshold, {x.at_start} at the start, {x.by_an_earlier_one} after such a one, "
            f"{x.unexplained} unexplained)"
        )
    return f"{text}, logits by {x.largest_logit_difference:.1e} at most"


def energy_table(rows: Mapping[str, tuple[Costs, Mapping[str, Any]]], source: str) -> str:
    """Return the table of energies.

    Args:
        rows: By name, with the counted operations.
        source: The strain that they were counted on.
    """
    head = (
        "detector and arithmetic",
        "spikes/s",
        "accumulates/s",
        "multiply-accumulates/s, front end",
        "the same, head",
        "front end, uW",
        "head, uW",
        "all, uW",
    )
    table = [head, ("---",) * len(head)]
    for name, (cost, _) in rows.items():
        table.append(
            (
                name,
                f"{cost.spikes:.0f}" if cost.spikes else "-",
                f"{cost.accumulates:.3g}" if cost.accumulates else "-",
                f"{cost.front_end_macs:.3g}",
                f"{cost.head_macs:.3g}",
                f"{1e6 * cost.front_end_watts:.3g}",
                f"{1e6 * cost.head_watts:.3g}",
                f"{1e6 * cost.watts:.3g}",
            )
        )
    body = "\n".join(f"| {' | '.join(row)} |" for row in table)
    return f"Per second of strain of all detectors, counted on {source}:\n\n{body}"
