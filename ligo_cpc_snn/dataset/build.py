"""Make the banks of a run: noise and, whitened alike, the signals to put into it."""

import logging
from collections.abc import Iterator, Sequence

import jax
import numpy as np
from jaxtyping import Array, Int, Key

from ligo_cpc_snn.config.data_schema import DataConfig
from ligo_cpc_snn.dataset.banks import (
    Banks,
    NoiseBank,
    SignalBank,
    Stretch,
    Transients,
    build_noise_bank,
    no_transients,
)
from ligo_cpc_snn.dataset.glitches import build_glitch_bank, find_transients
from ligo_cpc_snn.dataset.noise import NoiseBlock
from ligo_cpc_snn.dataset.plan import BankError, BankPlan, plan_banks, plan_synthetic
from ligo_cpc_snn.dataset.sampling import signal_layout
from ligo_cpc_snn.dataset.sharing import ALL, Chunk, Share, chunks_of, exchange
from ligo_cpc_snn.dataset.storage import storage_type, stored
from ligo_cpc_snn.dataset.supply import Pace, at_once
from ligo_cpc_snn.rng import stream
from ligo_cpc_snn.signals.whitened import CHUNK, whitened_signals
from ligo_cpc_snn.stages import stage

log = logging.getLogger(__name__)

__all__ = ["CHUNK", "BankError", "BankPlan", "build_banks", "plan_banks", "plan_synthetic"]


@stage("bank")
def build_banks(
    blocks: Sequence[NoiseBlock],
    data: DataConfig,
    *,
    signals: int,
    seed: int,
    name: str,
    share: Share = ALL,
    making_bytes: int | None = None,
) -> Banks:
    """Make the banks on the host, in the numbers that the device will hold.

    A signal is whitened with the filters of one block, and each block gets signals in
    proportion to its time, so that noise and signal always share their PSD.

    Args:
        blocks: noise with its filters; the block's place is the number of its PSD.
        signals: number of signals in the bank.
        seed, name: of the random stream, as 0 and "train".
        share: of the signals, that this process makes; all are exchanged here.
        making_bytes: memory for the signals in the making; None: no limit.

    Raises:
        BankError: when there are no blocks, or fewer signals than blocks.
    """
    noise = build_noise(blocks, data, name)
    bank = build_signals(
        blocks,
        data,
        signals=signals,
        seed=seed,
        name=name,
        share=share,
        making_bytes=making_bytes,
    )
    bank = exchange(bank, owners_of(blocks, signals, seed, name, share), share)
    glitches = build_glitch_bank(blocks, data, seed=seed, name=name)
    transients = build_transients(noise, data)
    tell_transients(transients, data, name)
    return stored(Banks(noise, bank, glitches, transients), data.storage)


def build_noise(blocks: Sequence[NoiseBlock], data: DataConfig, name: str) -> NoiseBank:
    """Lay out the noise of all blocks."""
    if not blocks:
        raise BankError(
            f"no {name} noise is left after cuts: give longer strain, or change "
            "data.real.validation_fraction, minimum_seconds or exclude_gps"
        )
    stretches = [_stretches(blocks, detector) for detector in data.detectors]
    return build_noise_bank(stretches, data.window_samples)


def build_signals(
    blocks: Sequence[NoiseBlock],
    data: DataConfig,
    *,
    signals: int,
    seed: int,
    name: str,
    pace: Pace = at_once,
    share: Share = ALL,
    making_bytes: int | None = None,
) -> SignalBank:
    """Make signals for the PSDs of the blocks, in an order that tells nothing of the PSD.

    Args:
        blocks, signals, seed, name: see `build_banks`.
        pace: called after each chunk of `CHUNK` signals.
        share: of the signals, that this process makes; the rows of others are zero.
        making_bytes: memory for the signals in the making; None: no limit.

    Raises:
        BankError: fewer signals than blocks.
    """
    layout = signal_layout(data)
    shape = (signals, len(data.detectors), layout.before + layout.after)
    strain = np.zeros(shape, storage_type(data.storage))
    snr, psd = np.zeros(signals, np.float32), np.empty(shape[:2], np.int32)
    key, done = stream(seed, f"signals {name}"), 0
    # Always CHUNK at a time, so that no other number is ever compiled for.
    for chunk in _chunks(blocks, signals, seed, name):
        places = chunk.places
        psd[places] = chunk.block
        done += places.size
        if not share.owns(chunk.number):
            continue
        of_chunk = jax.random.fold_in(jax.random.fold_in(key, chunk.block), chunk.of_block)
        got, loudness = _signals(of_chunk, blocks[chunk.block], data, making_bytes)
        strain[places], snr[places] = got[: places.size], loudness[: places.size]
        pace(done / signals)
    return SignalBank(strain, psd, snr)


def owners_of(
    blocks: Sequence[NoiseBlock], signals: int, seed: int, name: str, share: Share
) -> Int[np.ndarray, "signal"]:
    """Return the number of the process that makes each signal of a bank."""
    owners = np.zeros(signals, np.int32)
    for chunk in _chunks(blocks, signals, seed, name):
        owners[chunk.places] = chunk.number % share.count
    return owners


def _chunks(blocks: Sequence[NoiseBlock], signals: int, seed: int, name: str) -> Iterator[Chunk]:
    order = np.random.default_rng([seed, *name.encode()]).permutation(signals)
    return chunks_of(_shares(blocks, signals), order, CHUNK)


def build_transients(noise: NoiseBank, data: DataConfig) -> Transients:
    """Find transients in the noise where they are asked for."""
    if not data.glitches.real_fraction:
        return no_transients()
    return find_transients(noise, data)


def tell_transients(found: Transients, data: DataConfig, name: str) -> None:
    """Log how many transients were found, where they are asked for: none is plain noise."""
    if data.glitches.real_fraction:
        log.info("transients in the %s noise: %d", name, found.first.size)


def _signals(
    key: Key[Array, ""], block: NoiseBlock, data: DataConfig, making_bytes: int | None
) -> tuple[np.ndarray, np.ndarray]:
    layout = signal_layout(data)
    strain, drawn = whitened_signals(
        key,
        data.signals,
        count=CHUNK,
        budget_bytes=making_bytes,
        detectors=data.detectors,
        filters=block.filters,
        sample_rate_hz=data.sample_rate_hz,
        samples_before=layout.before,
        samples_after=layout.after,
    )
    return strain, drawn["network_snr"].astype(np.float32)


def _stretches(blocks: Sequence[NoiseBlock], detector: str) -> list[Stretch]:
    return [
        Stretch(stretch[detector].strain, number)
        for number, block in enumerate(blocks)
        for stretch in block.stretches
    ]


def _shares(blocks: Sequence[NoiseBlock], signals: int) -> list[int]:
    """Divide signals among blocks by their time, at least one each."""
    if signals < len(blocks):
        raise BankError(
            f"{signals} signals for {len(blocks)} stretches of noise with a PSD of their own: "
            "raise data.signals.bank_size and validation_bank_size"
        )
    seconds = np.array([block.seconds for block in blocks])
    edges = np.round(np.cumsum(seconds) / seconds.sum() * (signals - len(blocks))).astype(int)
    return [int(n) for n in np.diff(edges, prepend=0) + 1]
