"""What a notebook asks for beside the commands: a run, its windows, its representations."""

from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ligo_cpc_snn.config.schema import Config
from ligo_cpc_snn.dataset.sampling import draw_noise_windows, signal_layout
from ligo_cpc_snn.errors import UserError
from ligo_cpc_snn.models.detector import Representation
from ligo_cpc_snn.rng import stream
from ligo_cpc_snn.runtime.devices import memory_budget_bytes
from ligo_cpc_snn.runtime.environment import cache_folder
from ligo_cpc_snn.search.trained import TrainedDetector
from ligo_cpc_snn.signals.whitened import whitened_signals
from ligo_cpc_snn.train import train
from ligo_cpc_snn.wiring.data import Data, prepare_data

AT_ONCE = 64  # windows in one call of the network


class Windows(NamedTuple):
    """Windows of whitened held-out noise, half of them with a signal whose source is known.

    `signal` marks those; `sources` are of them alone, in their order. Every merger is at
    `merger_seconds` after a window's start.
    """

    strain: Float[np.ndarray, "window detector time"]
    signal: np.ndarray
    sources: dict[str, np.ndarray]
    merger_seconds: float


class Represented(NamedTuple):
    """Latents and context of windows on the host, the detectors' features side by side."""

    latents: Float[np.ndarray, "window frame feature"]
    context: Float[np.ndarray, "window frame feature"]


def trained(cfg: Config) -> Path:
    """Return the folder of a finished run; it is trained, or goes on, where it is not finished.

    Raises:
        UserError: it was stopped; called again it goes on.
    """
    folder = Path(cfg.run_dir).expanduser().absolute()
    if not (folder / "metrics.json").is_file() and train(cfg) != 0:
        raise UserError(
            f"run {folder} was stopped before its end: run this again and it goes on from its last "
            "checkpoint"
        )
    return folder


def data_of(cfg: Config) -> Data:
    """Make the banks of a run, as its training does."""
    budget = memory_budget_bytes(cfg.runtime)
    return prepare_data(cfg, cache_dir=cache_folder(), budget_bytes=budget)


def known_windows(cfg: Config, data: Data, *, count: int, network_snr: float) -> Windows:
    """Return windows of held-out noise, every second one with a signal of a new source.

    Args:
        cfg: of the run; its seed decides noise and sources, which no training has seen.
        data: from `data_of`.
        count: windows in all, an even number.
        network_snr: optimal network SNR of each signal.
    """
    before = signal_layout(cfg.data).before
    window = cfg.data.window_samples
    of_noise, of_signals = jax.random.split(stream(cfg.seed, "known windows"))
    noise, _ = draw_noise_windows(data.validation.noise, of_noise, window, count)
    strain = np.array(noise)
    signals, sources = whitened_signals(
        of_signals,
        cfg.data.signals,
        count=count // 2,
        detectors=cfg.data.detectors,
        filters=data.noise.validation[0].filters,
        sample_rate_hz=cfg.data.sample_rate_hz,
        samples_before=before,
        samples_after=window - before,
        network_snr=network_snr,
    )
    strain[1::2] += signals
    known = {name: np.asarray(x) for name, x in sources.items()}
    return Windows(strain, np.arange(count) % 2 == 1, known, before / cfg.data.sample_rate_hz)


def represent(
    detector: TrainedDetector, strain: Float[np.ndarray, "window detector time"]
) -> Represented:
    """Return latents and context of each window, before which there was silence."""

    def encode(params: Any, strain: jax.Array) -> Representation:
        network = detector.assemble(params)
        found, _ = network.encode(strain, network.initial_state(strain.shape[0]))
        return Representation(*(_side_by_side(x, strain.shape[0]) for x in found))

    run = jax.jit(encode)
    whole = strain.shape[-1] // detector.frame_samples * detector.frame_samples
    parts = [
        run(detector.params, jnp.asarray(strain[i : i + AT_ONCE, :, :whole]))
        for i in range(0, len(strain), AT_ONCE)
    ]
    return Represented(*(np.concatenate(x) for x in zip(*parts, strict=True)))


def _side_by_side(x: jax.Array, windows: int) -> jax.Array:
    """Turn the frames of each detector's sequence into frames of all detectors' features."""
    sequences, frames, features = x.shape
    split = x.reshape(windows, sequences // windows, frames, features)
    return jnp.swapaxes(split, 1, 2).reshape(windows, frames, -1)
