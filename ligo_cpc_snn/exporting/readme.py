"""The README of an exported folder."""

from ligo_cpc_snn.exporting.description import Description

TEXT = """# {name}, exported

A detector of gravitational waves in two files: a front end that turns whitened strain into spikes,
and a spiking network that turns spikes into a ranking statistic. `description.json` has all shapes.

| file | what |
|---|---|
| `front_end.stablehlo` | encoder and bridge, `jax.export` (StableHLO), for {platforms} |
| `snn.nir` | the spiking network, NIR {nir}: exact, in `LI`, `Threshold`, `Scale`, `Affine` |
{compact}| `detector.safetensors` | what they were made from; `ligo-search --detector` takes it |
| `description.json` | inputs, state, rates, channels, normalisation, digests |

Check it on strain of your own, with an independent simulator (snnTorch; `--no-simulator` goes
without):

    ligo-export --check FOLDER --strain H1.hdf5 L1.hdf5

## Front end

Strain of {detectors}, {rate} samples a second, whitened between {low:g} and {high:g} Hz:
{normal}.
Called {per}, with {frame_samples} x f samples ({milliseconds:.3g} ms x f) and a state that
begins at zeros; it returns f frames of spikes and the state for the next call. Weights are inside.

    from jax import export
    program = export.deserialize(bytearray(open("front_end.stablehlo", "rb").read()))
    spikes, *state = program.call(strain, *state)

## Spiking network

{channels} input channels: the spikes of {order} side by side. One step of dt = {dt:g} s per
frame, forward Euler, membranes at 0 before the first. A spike takes the threshold off the membrane,
from the next frame on: the simulator must hand what an edge carries back to the next step.
Layers: {layers}. Weights: {weights}.

The output is the statistic of a frame. It comes {lag} frames before that of the network it was made
from, which reads a neuron's spike off its membrane before the frame's input. So the first frames
from silence differ, where later layers have had their bias longer; in the first {warm_up:g} s the
statistic means nothing anyway. It peaks {offset:.0f} ms after the merger.
{compact_note}
Written by ligo_cpc_snn {version}, jax {jax}. The `.stablehlo` file is read by this version of JAX
and later ones, for half a year at least.
"""

COMPACT_NOTE = """
`snn_lif.nir` has one `nir.LIF` per layer, as compilers for chips want it. NIR's equation sets the
membrane to `v_reset` after a spike; these neurons subtract their threshold, as the node's metadata
says. Choose reset by subtraction in the simulator: with reset to zero other spikes come out.
"""


def readme(found: Description) -> str:
    """Return the Markdown of a folder."""
    shared = found.front_end.per == "detector"
    names = ", ".join(found.strain.detectors)
    compact = "| `snn_lif.nir` | the same with one `LIF` node per layer: see below |\n"
    layers = ", ".join(f"{x.width} {x.neuron}" for x in found.snn.layers)
    bits = f"{found.weights} ({found.weights_part})" if found.weights != "float32" else "float32"
    note = (
        COMPACT_NOTE if found.snn.compact else f"\nNo `snn_lif.nir`: {found.snn.compact_why_not}.\n"
    )
    return TEXT.format(
        name=found.name,
        platforms=" and ".join(found.front_end.platforms),
        nir=found.versions.get("nir", ""),
        compact=compact if found.snn.compact else "",
        compact_note=note,
        detectors=names,
        rate=found.strain.sample_rate_hz,
        low=found.strain.band_low_hz,
        high=found.strain.band_high_hz,
        normal=found.strain.normalisation,
        per="for each detector, one after the other or side by side" if shared else "once for all",
        frame_samples=found.front_end.frame_samples,
        milliseconds=1e3 * found.front_end.frame_seconds,
        channels=found.snn.channels,
        order=names if shared else "all detectors",
        dt=found.snn.dt_seconds,
        layers=f"{layers}, and a leaky readout",
        weights=bits,
        lag=found.snn.lag_frames,
        offset=1e3 * found.time_offset_seconds,
        warm_up=found.warm_up_seconds,
        version=found.versions.get("ligo-cpc-snn", ""),
        jax=found.versions.get("jax", ""),
    )
