"""Encoder, context and bridge as one StableHLO program: strain and a state in, spikes out.

The program has its weights in it and takes any whole number of frames. With shared encoders it is
of one detector's strain, called once per detector with a state of its own. What the bridge does not
look at (the context, where it takes latents) is not in it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import export
from jaxtyping import Float, Shaped

from ligo_cpc_snn.exporting.errors import ExportError
from ligo_cpc_snn.exporting.front_end_process import REMEDY, FrontEndProcess
from ligo_cpc_snn.models.bridge import PassThrough, Rate
from ligo_cpc_snn.models.detector import Detector

PLATFORMS = ("cpu", "cuda")
LARGEST_FILE = 256_000_000  # bytes

Leaf = Shaped[np.ndarray, "..."]
Chunk = Callable[..., Any]


@dataclass
class Port:
    """An array that goes in or comes out; a dimension is a number, or of f frames: `16*f`."""

    name: str
    shape: list[str]
    dtype: str


@dataclass(frozen=True)
class FrontEnd:
    """The program as bytes, what goes in and out, and the keys of stochastic bridges."""

    program: bytes
    inputs: list[Port]
    outputs: list[Port]
    keys: list[list[int]]  # per call side by side; empty where the bridge draws nothing


def export_front_end(network: Detector) -> FrontEnd:
    """Return the front end of a detector.

    Args:
        network: With its parameters, which become constants of the program.
    """
    state, names = initial_leaves(network)
    (frames,) = export.symbolic_shape("f")
    time = network.frame_samples * frames
    strain = (time,) if network.shared else (network.detectors, time)
    given = [jax.ShapeDtypeStruct(strain, jnp.float32)]
    keys = _keys(network)
    if keys:
        given.append(jax.ShapeDtypeStruct((2,), jnp.uint32))
    given += [jax.ShapeDtypeStruct(x.shape, x.dtype) for x in state]
    exported = export.export(jax.jit(_chunk(network, bool(keys))), platforms=PLATFORMS)(*given)
    program = bytes(exported.serialize())
    first = ["strain", "key"] if keys else ["strain"]
    inputs = _ports([*first, *names], exported.in_avals)
    return FrontEnd(program, inputs, _ports(["spikes", *names], exported.out_avals), keys)


def initial_leaves(network: Detector) -> tuple[list[Leaf], list[str]]:
    """Return the arrays of one call's state before the first strain, and their names."""
    found = jax.tree_util.tree_leaves_with_path(_silence(network))
    names = [f"state.{jax.tree_util.keystr(at, simple=True, separator='.')}" for at, _ in found]
    return [np.asarray(leaf) for _, leaf in found], names


def _silence(network: Detector) -> dict[str, Any]:
    """Return the parts of a sequence's state that the spikes depend on, before the first sample."""
    parts = {"encoder": network.encoder.initial_state(1)}
    if network.from_context:
        parts["context"] = network.context.initial_state(1)
    parts["bridge"] = network.bridge.initial_state(1)
    return parts


def _keys(network: Detector) -> list[list[int]]:
    """Return the key of each call side by side, those of a search; none where nothing is drawn."""
    if not isinstance(network.bridge, Rate):
        return []
    split = jax.random.split(jax.random.key(0), network.sequences(1))
    return [[int(word) for word in key] for key in np.asarray(jax.random.key_data(split))]


def _chunk(network: Detector, keyed: bool) -> Chunk:
    """Return `(strain, [key], *state) -> (spikes, *state)` of plain arrays."""
    tree = jax.tree.structure(_silence(network))
    spiking = not isinstance(network.bridge, PassThrough)

    def chunk(strain: jax.Array, *rest: jax.Array) -> tuple[jax.Array, ...]:
        words, *held = rest if keyed else (jnp.zeros(2, jnp.uint32), *rest)
        state = jax.tree.unflatten(tree, held)
        x = strain[None, :, None] if network.shared else strain.T[None]
        latents, encoder = network.encoder(x, state["encoder"])
        after = {"encoder": encoder}
        source = latents
        if network.from_context:
            source, after["context"] = network.context(latents, state["context"])
        keys = jax.random.wrap_key_data(words)[None]
        spikes, after["bridge"] = network.bridge(source, state["bridge"], keys)
        values = spikes[0].astype(jnp.uint8 if spiking else jnp.float32)
        return (values, *jax.tree.leaves(after))

    return chunk


def _ports(names: Sequence[str], avals: Sequence[Any]) -> list[Port]:
    return [
        Port(name, [str(n) for n in aval.shape], str(aval.dtype))
        for name, aval in zip(names, avals, strict=True)
    ]


def load_front_end(
    program: bytes,
    inputs: Sequence[Port],
    outputs: Sequence[Port],
    process: FrontEndProcess | None = None,
) -> FrontEndProcess:
    """Return the chunk function of a program that passed every check, in a process of its own.

    Args:
        program: What `export_front_end` returned.
        inputs, outputs: As the description has them; the program must have the same.
        process: To load it into, in place of what it holds; None: a new one.

    Raises:
        ExportError: the program is damaged, of another signature, or calls out of StableHLO. The
            function itself raises it where the program fails, crashes or does not end.
    """
    if len(program) > LARGEST_FILE:
        raise ExportError(
            f"the front end has {len(program) / 1e6:.0f} MB, expected {LARGEST_FILE / 1e6:.0f} at "
            f"most: {REMEDY}"
        )
    process = process or FrontEndProcess()
    signatures = [[(p.shape, p.dtype) for p in ports] for ports in (inputs, outputs)]
    process.load(program, *signatures)
    return process


def run_front_end(
    chunk: Chunk,
    state: Sequence[Leaf],
    strain: Float[np.ndarray, "time"] | Float[np.ndarray, "detector time"],
    samples: Sequence[int],
    key: Sequence[int] | None = None,
) -> Shaped[np.ndarray, "frame channel"]:
    """Return the spikes of strain that is fed in chunks.

    Args:
        chunk: From `load_front_end`.
        state: Before the first sample.
        strain: Whitened, of one call: a detector's, or that of all.
        samples: Of each chunk, whole frames; they add up to the strain.
        key: Of a stochastic bridge.
    """
    held, found, start = list(state), [], 0
    words = [] if key is None else [np.asarray(key, np.uint32)]
    for size in samples:
        spikes, *held = chunk(strain[..., start : start + size], *words, *held)
        found.append(spikes)
        start += size
    return np.concatenate(found)
