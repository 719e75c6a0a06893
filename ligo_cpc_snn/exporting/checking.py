"""Read an exported folder back and run every part of it against the detector it was made from."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Shaped

from ligo_cpc_snn.exporting import description as names
from ligo_cpc_snn.exporting.agreement import SpikeAgreement, agreement
from ligo_cpc_snn.exporting.description import Description, read_description
from ligo_cpc_snn.exporting.front_end import initial_leaves, load_front_end, run_front_end
from ligo_cpc_snn.exporting.hostile import read_graph
from ligo_cpc_snn.exporting.rebuild import network_of
from ligo_cpc_snn.exporting.simulate import SUBTRACT, ZERO, simulate
from ligo_cpc_snn.models.snn import SpikingNetwork
from ligo_cpc_snn.search.trained import TrainedDetector
from ligo_cpc_snn.search.weights import read_detector

CHUNKS = (64, 7, 33)  # frames, in turn: chunks of any length give the same


class Run(NamedTuple):
    """A network over spikes: each layer's spikes and membrane less threshold, and the logits."""

    layers: list[Shaped[np.ndarray, "frame neuron"]]
    margins: list[Float[np.ndarray, "frame neuron"]]
    logits: Float[np.ndarray, "frame"]


@dataclass(frozen=True)
class Checked:
    """What was found; `literal` is `snn_lif.nir` with reset to zero, as NIR's equation has it."""

    name: str
    seconds: float
    bridge_spikes: int
    front_end_differing: int  # of the exported program against the detector
    round_trip: SpikeAgreement  # snn.nir read back into this package
    simulated: SpikeAgreement | None  # snn.nir in the independent simulator
    compact: SpikeAgreement | None  # snn_lif.nir there, reset by subtraction
    literal: SpikeAgreement | None

    @property
    def good(self) -> bool:
        """Whether all agree but for what rounding explains; `literal` is no aim."""
        told = [self.round_trip, self.simulated, self.compact]
        rare = self.front_end_differing <= max(self.bridge_spikes, 1) * 1e-3
        exact = self.round_trip.differing == 0
        return rare and exact and all(x.explained for x in told if x is not None)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        return asdict(self) | {"good": self.good}


def check_folder(
    folder: Path, strain: Float[np.ndarray, "detector time"], *, independent: bool = True
) -> Checked:
    """Check a folder on whitened strain.

    Args:
        folder: That `export_folder` wrote.
        strain: Whitened, of all detectors; what is not a whole frame is left out.
        independent: Run the graphs in the independent simulator, too.

    Raises:
        ExportError: the folder cannot be read, or the simulator is not installed.
    """
    found, detector = read_description(folder), read_detector(folder / names.DETECTOR)
    frames = strain.shape[-1] // detector.frame_samples
    strain = np.asarray(strain[:, : frames * detector.frame_samples], np.float32)
    original = _original(detector, strain)
    front = _front_end(folder, found, detector, strain)
    graph = read_graph(folder / names.SNN)
    network, _ = network_of(graph)
    # The same spikes go into all: a difference in the front end is not counted twice.
    reference, rebuilt = run_network(detector.network.snn, original), run_network(network, original)
    return Checked(
        name=found.name,
        seconds=frames * detector.frame_seconds,
        bridge_spikes=int(np.count_nonzero(original)),
        front_end_differing=int(np.count_nonzero(front != original)),
        round_trip=compare(reference, rebuilt.layers, rebuilt.logits, lags=False),
        **_simulations(folder, found, graph, reference, original, independent),
    )


def compare(
    reference: Run,
    layers: Sequence[Shaped[np.ndarray, "frame neuron"]],
    logits: Float[np.ndarray, "frame"],
    *,
    lags: bool = True,
) -> SpikeAgreement:
    """Return how another run agrees with the reference."""
    return agreement(
        reference.layers, layers, reference.margins, reference.logits, logits, lags=lags
    )


def run_network(snn: SpikingNetwork, spikes: Shaped[np.ndarray, "frame channel"]) -> Run:
    """Run a network of this package from silence."""
    given = jnp.asarray(spikes, jnp.float32)[None]
    logits, traces, _ = jax.jit(lambda x: snn(x, snn.initial_state(1)))(given)
    thresholds = [float(layer.neuron.threshold) for layer in snn.layers]
    return Run(
        [np.asarray(trace.spikes[:, 0]) for trace in traces],
        [np.asarray(t.membrane[:, 0]) - v for t, v in zip(traces, thresholds, strict=True)],
        np.asarray(logits[0]),
    )


def _original(
    detector: TrainedDetector, strain: Float[np.ndarray, "detector time"]
) -> Shaped[np.ndarray, "frame channel"]:
    """Return the bridge's spikes of the detector, all detectors' side by side."""
    network = detector.network

    def spikes(x: jax.Array) -> jax.Array:
        keys = jax.random.split(jax.random.key(0), network.sequences(1))
        representation, state = network.encode(x[None], network.initial_state(1))
        return network.spikes(representation, state, keys)[0][0]

    return np.asarray(jax.jit(spikes)(jnp.asarray(strain)))


def _front_end(
    folder: Path,
    found: Description,
    detector: TrainedDetector,
    strain: Float[np.ndarray, "detector time"],
) -> Shaped[np.ndarray, "frame channel"]:
    """Return the spikes of the exported program, fed in chunks."""
    told, network = found.front_end, detector.network
    chunk = load_front_end((folder / names.FRONT_END).read_bytes(), told.inputs, told.outputs)
    state, _ = initial_leaves(network)
    frames = strain.shape[-1] // network.frame_samples
    samples = [n * network.frame_samples for n in _chunks(frames)]
    calls = list(strain) if network.shared else [strain]
    keys: Sequence[list[int] | None] = told.keys or [None] * len(calls)
    runs = [run_front_end(chunk, state, x, samples, k) for x, k in zip(calls, keys, strict=True)]
    return np.concatenate(runs, axis=-1)


def _chunks(frames: int) -> list[int]:
    """Return lengths of chunks in turn: a few small ones, then the rest in large ones."""
    first: list[int] = []
    for length in CHUNKS:
        if sum(first) + length < frames:
            first.append(length)
    rest = frames - sum(first)
    return [*first, *([rest] if rest else [])]


def _simulations(
    folder: Path,
    found: Description,
    graph: Any,
    reference: Run,
    spikes: Shaped[np.ndarray, "frame channel"],
    independent: bool,
) -> dict[str, SpikeAgreement | None]:
    told: dict[str, SpikeAgreement | None] = dict.fromkeys(("simulated", "compact", "literal"))
    if not independent:
        return told
    wanted = [("simulated", graph, SUBTRACT)]
    if found.snn.compact:
        compact = read_graph(folder / names.COMPACT)
        wanted += [("compact", compact, SUBTRACT), ("literal", compact, ZERO)]
    for name, given, reset in wanted:
        got = simulate(given, spikes, reset=reset)
        told[name] = compare(reference, got.layers, got.logits)
    return told
