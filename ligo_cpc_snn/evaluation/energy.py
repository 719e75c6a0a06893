"""What a detector's arithmetic costs in energy per second of strain, an estimate.

Counted are the additions and multiplications of synapses, and the neurons' leaks. Memory and wires
are not: on a processor they cost more than the arithmetic, on a neuromorphic chip they are what its
makers measure. So the numbers compare networks with each other, not machines.

Energies of one operation are those of a 45 nm process at 0.9 V: Horowitz 2014, "Computing's energy
problem (and what we can do about it)", ISSCC, figure 1.1.9.
"""

from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

from ligo_cpc_snn.evaluation.synops import SynapticOperations, dense_macs
from ligo_cpc_snn.models.detector import Detector

PICO = 1e-12


class Arithmetic(Enum):
    """Numbers that are added and multiplied."""

    float32 = "float32"
    int8 = "int8"  # products of 8 bits, sums of 32


@dataclass(frozen=True)
class OperationEnergy:
    """Of one operation, pJ."""

    add: float
    multiply: float

    @property
    def multiply_add(self) -> float:
        """A product and its addition to a sum, pJ."""
        return self.add + self.multiply


# Horowitz 2014: floating point 32 bit add 0.9, multiply 3.7; integer 32 bit add 0.1, 8 bit
# multiply 0.2 pJ. A sum of 8-bit weights needs the wider addition.
ENERGIES = {
    Arithmetic.float32: OperationEnergy(add=0.9, multiply=3.7),
    Arithmetic.int8: OperationEnergy(add=0.1, multiply=0.2),
}


@dataclass(frozen=True)
class Energy:
    """Per second of strain of all detectors; energies in J/s, that is W."""

    front_end_macs: float
    head_macs: float
    accumulates: float
    neuron_updates: float
    spikes: float
    front_end_watts: float
    head_watts: float

    @property
    def watts(self) -> float:
        """Of front end and head together, W."""
        return self.front_end_watts + self.head_watts

    def to_dict(self) -> dict[str, Any]:
        """Return the fields and their sum as plain values."""
        return asdict(self) | {"watts": self.watts}


def energy(
    detector: Detector,
    operations: SynapticOperations,
    *,
    sample_rate_hz: int,
    front: Arithmetic = Arithmetic.float32,
    head: Arithmetic = Arithmetic.float32,
) -> Energy:
    """Estimate a detector's energy from its counted operations.

    Args:
        detector: Whose front end (encoder, context if it is looked at, bridge) is counted.
        operations: Of the same detector on noise.
        sample_rate_hz: Of the strain.
        front: Arithmetic of the front end.
        head: Arithmetic of the synapses of the spiking network, or of the graded one in its
            place; neurons leak in float32 either way.
    """
    frame_rate = sample_rate_hz / detector.frame_samples
    frames = 64
    needed = dense_macs(detector, frames)[0] / frames
    # The front end is counted densely there, too; what is left is the head's, if it is graded.
    head_macs = max(operations.multiply_accumulates - frame_rate * needed, 0.0)
    updates = frame_rate * (sum(layer.width for layer in detector.snn.layers) + 1)
    of_front, of_head = ENERGIES[front], ENERGIES[head]
    return Energy(
        front_end_macs=frame_rate * needed,
        head_macs=head_macs,
        accumulates=operations.accumulates,
        neuron_updates=updates,
        spikes=operations.spikes,
        front_end_watts=PICO * of_front.multiply_add * frame_rate * needed,
        head_watts=PICO
        * (
            of_head.add * operations.accumulates
            + of_head.multiply_add * head_macs
            + ENERGIES[Arithmetic.float32].multiply_add * updates  # leaks are not rounded
        ),
    )
