"""What a detector costs: synaptic operations per second of strain.

Reference: Yik et al. 2025, Nat. Commun. 16, 1545 (NeuroBench), "synaptic operations": a product
whose input is a spike (-1, 0 or 1) is an accumulate, any other a multiply-accumulate; *effective*
ones are those whose input is not zero, *dense* ones are all. Deviations: weights of zero are
counted (dense layers have none), encoder and context count densely (their inputs are graded, and
hardly ever zero), and all numbers are per second of strain in place of per inference. Updates of
neurons, norms and other elementwise work are not synaptic operations.
"""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Shaped

from ligo_cpc_snn.models.detector import Detection, Detector, Representation


@dataclass(frozen=True)
class SynapticOperations:
    """Operations of a detector per second of strain of all its detectors, and its spike rates."""

    accumulates: float  # effective, fed by spikes
    multiply_accumulates: float  # encoder, context, and whatever is fed by graded numbers
    dense: float  # multiply-accumulates if every activation were a number other than zero
    spikes: float  # of bridge and neurons together, per second
    bridge_rate_hz: float | None  # spikes per channel and second; None: the bridge is graded
    neuron_rate_hz: float | None  # spikes per neuron and second; None: the head is graded

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        return asdict(self)


@dataclass(frozen=True)
class _Source:
    """Activations that feed a layer: (batch, frame, channel), and the products of each."""

    values: np.ndarray
    fan_out: int

    @property
    def spiking(self) -> bool:
        return is_spiking(self.values)

    @property
    def per_frame(self) -> float:
        """Values other than zero in a frame."""
        return float(np.count_nonzero(self.values)) / math.prod(self.values.shape[:2])


def is_spiking(values: Shaped[np.ndarray, "..."]) -> bool:
    """Return whether all values are spikes: -1, 0 or 1."""
    return bool(np.isin(values, (-1, 0, 1)).all())


def synaptic_operations(
    detector: Detector, detection: Detection, *, sample_rate_hz: int
) -> SynapticOperations:
    """Return what a detector costs per second of strain like that of a detection.

    Args:
        detector: whose products are counted.
        detection: its output on noise, where a search spends its time.
        sample_rate_hz: of the strain.
    """
    frames = detection.frame_logits.shape[1]
    frame_rate = sample_rate_hz / detector.frame_samples
    bridge, *neurons = sources = _sources(detector, detection)
    front, head = (macs / frames for macs in dense_macs(detector, frames))
    known = sum(x.values.shape[2] * x.fan_out for x in sources)
    # What of the head is not fed by a source that is seen costs as much as it can.
    graded = front + max(head - known, 0.0)
    graded += sum(x.per_frame * x.fan_out for x in sources if not x.spiking)
    spiking = [x for x in sources if x.spiking]
    return SynapticOperations(
        accumulates=frame_rate * sum(x.per_frame * x.fan_out for x in spiking),
        multiply_accumulates=frame_rate * graded,
        dense=frame_rate * (front + max(head, known)),
        spikes=frame_rate * sum(x.per_frame for x in spiking),
        bridge_rate_hz=_rate_hz([bridge], frame_rate),
        neuron_rate_hz=_rate_hz(neurons, frame_rate),
    )


def _rate_hz(sources: list[_Source], frame_rate: float) -> float | None:
    if not all(x.spiking for x in sources):
        return None
    channels = sum(x.values.shape[2] for x in sources)
    return frame_rate * sum(x.per_frame for x in sources) / channels


def _sources(detector: Detector, detection: Detection) -> list[_Source]:
    """Return the bridge's and each layer's activations."""
    layers = list(detector.snn.layers)
    seen = [np.asarray(layer.spikes).swapaxes(0, 1) for layer in detection.layers]
    widths = [x.shape[2] for x in seen]
    recurrent = ["recurrent_w" in vars(getattr(layer, "neuron", layer)) for layer in layers]
    own = [width if again else 0 for width, again in zip(widths, recurrent, strict=True)]
    forward = [*widths[1:], 1]  # the readout is one number
    fan_outs = [onward + back for onward, back in zip(forward, own, strict=True)]
    bridge = _Source(np.asarray(detection.bridge_spikes), widths[0])
    return [bridge, *(_Source(x, n) for x, n in zip(seen, fan_outs, strict=True))]


def dense_macs(detector: Detector, frames: int) -> tuple[int, int]:
    """Return the dense multiply-accumulates of front (encoder to bridge) and head."""
    state = detector.initial_state(1)
    keys = jax.random.split(jax.random.key(0), detector.sequences(1))
    strain = jnp.zeros((1, detector.detectors, frames * detector.frame_samples))

    def front(strain: jax.Array) -> Any:
        if detector.from_context:
            representation, after = detector.encode(strain, state)
        else:  # XLA leaves a context out that nothing reads
            latents, _ = detector.encoder(detector.as_sequences(strain), state.encoder)
            representation, after = Representation(latents, latents), state
        return detector.spikes(representation, after, keys)[0]

    spikes = jax.eval_shape(front, strain)

    def head(spikes: jax.Array) -> Any:
        return detector.snn(spikes, state.snn)[0]

    return count_macs(jax.make_jaxpr(front)(strain)), count_macs(jax.make_jaxpr(head)(spikes))


def count_macs(program: Any) -> int:
    """Return the multiply-accumulates of the matrix products and convolutions of a jaxpr.

    Raises:
        ValueError: there are some in a loop whose length is not known.
    """
    return sum(_macs_of(equation) for equation in getattr(program, "jaxpr", program).eqns)


def _macs_of(equation: Any) -> int:
    name, params = equation.primitive.name, equation.params
    if name == "dot_general":
        left = equation.invars[0].aval.shape
        (contracted, _), _ = params["dimension_numbers"]
        return math.prod(equation.outvars[0].aval.shape) * math.prod(left[i] for i in contracted)
    if name == "conv_general_dilated":
        kernel = equation.invars[1].aval.shape
        outputs = kernel[params["dimension_numbers"].rhs_spec[0]]
        return math.prod(equation.outvars[0].aval.shape) * math.prod(kernel) // outputs
    inner = [count_macs(x) for x in _programs(params)]
    if name == "cond":
        return max(inner)
    if name == "while" and any(inner):
        raise ValueError("matrix products in a loop of unknown length cannot be counted: use scan")
    return sum(inner) * (params["length"] if name == "scan" else 1)


def _programs(params: dict[str, Any]) -> Iterator[Any]:
    for value in params.values():
        for inner in value if isinstance(value, (tuple, list)) else (value,):
            if hasattr(getattr(inner, "jaxpr", inner), "eqns"):
                yield inner
