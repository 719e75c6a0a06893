"""The banks of a run, from its config to the device."""

import logging
import math
import time
from pathlib import Path
from typing import Any, NamedTuple

import jax

from ligo_cpc_snn.config.data_schema import DataConfig
from ligo_cpc_snn.config.schema import Config
from ligo_cpc_snn.dataset.banks import Banks
from ligo_cpc_snn.dataset.build import build_banks
from ligo_cpc_snn.dataset.decision import Decision, keep_decision, read_decision
from ligo_cpc_snn.dataset.generations import Generations, StreamedNoise, stream_noise
from ligo_cpc_snn.dataset.load import Noise, load_noise, without_event
from ligo_cpc_snn.dataset.loudness import warn_of_short_windows
from ligo_cpc_snn.dataset.sharing import Share
from ligo_cpc_snn.dataset.supply import FixedSupply, RefreshedSupply
from ligo_cpc_snn.stages import stage
from ligo_cpc_snn.training.phases import active_phases
from ligo_cpc_snn.wiring.distributed import ONE_DEVICE, Together

log = logging.getLogger(__name__)


class Data(NamedTuple):
    """What training draws from, step by step, validation banks, and the noise of both."""

    supply: FixedSupply | RefreshedSupply
    validation: Banks
    noise: Noise

    @property
    def training(self) -> Any:
        """Shapes of the training banks, which each generation has."""
        return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), self.supply.banks)


@stage("banks")
def prepare_data(
    cfg: Config,
    *,
    cache_dir: Path,
    budget_bytes: int,
    host_bytes: int | None = None,
    step: int = 0,
    record: Path | None = None,
    together: Together = ONE_DEVICE,
    making_bytes: int | None = None,
) -> Data:
    """Make the banks and put them on the device.

    Args:
        cache_dir: where downloads, and noise to stream, are kept.
        budget_bytes: for the banks.
        host_bytes: for noise and banks on the host, before they are put on a device with memory
            of its own; None: where that is the same memory.
        step: at which training begins or goes on.
        record: file of the run that keeps whether its noise streams; followed if it is there.
        together: devices and processes; each of these makes its share of the signals.
        making_bytes: memory for the signals in the making; None: no limit.

    Raises:
        BankError: the banks do not fit, or not as they did when the run began.
    """
    begun, signals = time.monotonic(), cfg.data.signals
    log.info(
        "making the data: %s noise, %d signals (%s) to train, %d to validate",
        cfg.data.source.value,
        signals.bank_size,
        signals.approximant.value,
        signals.validation_bank_size,
    )
    data = without_event(cfg.data, cfg.event)
    noise = load_noise(
        data,
        seed=cfg.seed,
        cache_dir=cache_dir,
        budget_bytes=budget_bytes,
        host_bytes=host_bytes,
    )
    validation = build_banks(
        noise.validation,
        cfg.data,
        signals=signals.validation_bank_size,
        seed=cfg.seed,
        name="validation",
        share=share_of(together),
        making_bytes=making_bytes,
    )
    seconds = sum(block.seconds for block in noise.training)
    supply, noise = _supply(
        cfg, noise, cache_dir / "noise", budget_bytes, step, record, together, making_bytes
    )
    warn_of_short_windows(supply.banks.signals.strain)
    log.info(
        "banks: %.0f s of noise and %d signals to train, %.0f s and %d to validate, %.0f MB, "
        "made in %.1f s",
        seconds,
        signals.bank_size,
        sum(block.seconds for block in noise.validation),
        signals.validation_bank_size,
        sum(x.nbytes for x in jax.tree.leaves((validation, supply.banks))) / 1e6,
        time.monotonic() - begun,
    )
    return Data(supply, together.replicate(validation), noise)


def share_of(together: Together) -> Share:
    """Return the share of a bank's signals that this process makes."""
    return Share(together.index, together.count, together.gather)


def _supply(
    cfg: Config,
    noise: Noise,
    folder: Path,
    budget_bytes: int,
    step: int,
    record: Path | None,
    together: Together,
    making_bytes: int | None,
) -> tuple[FixedSupply | RefreshedSupply, Noise]:
    """Make the first training banks; noise that streams is let go of."""
    data, signals = cfg.data, cfg.data.signals
    if not signals.refresh_steps:
        banks = build_banks(
            noise.training,
            data,
            signals=signals.bank_size,
            seed=cfg.seed,
            name="train",
            share=share_of(together),
            making_bytes=making_bytes,
        )
        return FixedSupply(together.replicate(banks)), noise
    shown = signals.refresh_steps * math.floor(cfg.training.batch_size * signals.signal_fraction)
    log.info(
        "signals change every %d steps, before which %d are shown: %s",
        signals.refresh_steps,
        shown,
        "none twice" if shown <= signals.bank_size else f"{signals.bank_size} different ones",
    )
    streamed = _streamed(data, noise, folder, budget_bytes, record)
    blocks = noise.training if streamed is None else streamed.blocks
    generations = Generations(
        data, cfg.seed, blocks, streamed, share_of(together), together.replicate, making_bytes
    )
    supply = RefreshedSupply(
        generations.make,
        signals.refresh_steps,
        first=step // signals.refresh_steps,
        last_step=sum(phase.steps for phase in active_phases(cfg.training).values()),
        noise=streamed is not None,
        finish=generations.finish,
    )
    return supply, noise._replace(training=blocks)


def _streamed(
    data: DataConfig, noise: Noise, folder: Path, budget_bytes: int, record: Path | None
) -> StreamedNoise | None:
    """Return noise that streams, if it did when the run began or, then, does not fit."""
    kept = read_decision(record)
    if kept is not None:
        kept.check(noise.plan, budget_bytes)
    streamed, made = None, Decision(0)
    if noise.plan.streams(budget_bytes) if kept is None else kept.streams:
        at_a_time = None if kept is None else kept.at_a_time
        streamed = stream_noise(folder, noise.training, data, noise.plan, budget_bytes, at_a_time)
        made = Decision(streamed.at_a_time, streamed.cache.path.name)
    keep_decision(record, made, kept)
    return streamed
