"""Training banks one after the other: new signals and, if it does not all fit, other noise.

Generation g is a pure function of (seed, g). Noise takes its turn in an order that is drawn
anew for every epoch: each piece is used once in an epoch, and again only in the next.
"""

import logging
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Int

from ligo_cpc_snn.config.data_schema import DataConfig
from ligo_cpc_snn.dataset.banks import Banks, NoiseBank, Transients
from ligo_cpc_snn.dataset.build import (
    build_noise,
    build_signals,
    build_transients,
    owners_of,
    tell_transients,
)
from ligo_cpc_snn.dataset.glitches import build_glitch_bank
from ligo_cpc_snn.dataset.noise import NoiseBlock
from ligo_cpc_snn.dataset.noise_cache import NoiseCache, cache_noise
from ligo_cpc_snn.dataset.padding import padded_noise, padded_transients
from ligo_cpc_snn.dataset.plan import BankError, BankPlan, noise_bytes
from ligo_cpc_snn.dataset.sharing import ALL, Share, exchange
from ligo_cpc_snn.dataset.storage import stored, stored_noise
from ligo_cpc_snn.dataset.supply import Pace, at_once
from ligo_cpc_snn.strain.segments import StrainSegment

log = logging.getLogger(__name__)


class StreamedNoise(NamedTuple):
    """Noise of which `at_a_time` pieces are on the device."""

    cache: NoiseCache
    at_a_time: int
    blocks: list[NoiseBlock]  # without their stretches

    def pieces(self, seed: int, generation: int) -> Int[np.ndarray, "piece"]:
        """Return the numbers of the pieces of a generation."""
        total = len(self.cache.pieces)
        turns = np.arange(self.at_a_time) + generation * self.at_a_time
        orders = {epoch: _order(seed, epoch, total) for epoch in set((turns // total).tolist())}
        return np.array([orders[turn // total][turn % total] for turn in turns.tolist()])

    def read(self, seed: int, generation: int, data: DataConfig) -> list[NoiseBlock]:
        """Return the blocks of a generation, with the stretches that are its pieces."""
        found: dict[int, list[dict[str, StrainSegment]]] = {}
        for number in self.pieces(seed, generation).tolist():
            block = self.cache.pieces[number].block
            found.setdefault(block, []).append(self._stretch(number, data))
        return [self.blocks[n]._replace(stretches=found[n]) for n in sorted(found)]

    def _stretch(self, number: int, data: DataConfig) -> dict[str, StrainSegment]:
        rate, source = data.sample_rate_hz, self.cache.path.name
        return {
            name: StrainSegment(name, 0.0, rate, strain, source)
            for name, strain in zip(data.detectors, self.cache.read(number), strict=True)
        }


def _order(seed: int, epoch: int, total: int) -> Int[np.ndarray, "piece"]:
    stream = zlib.crc32(b"order of noise")
    return np.random.default_rng([seed, stream, epoch]).permutation(total)


@dataclass
class Generations:
    """Makes the training bank of any generation and puts it on the device.

    Args:
        data, seed: of the run.
        blocks: noise that stays on the device; without stretches where noise streams.
        streamed: noise that takes its turn, if it does not all fit.
        share: of the signals, that this process makes; see `finish`.
        put: puts banks on the device, or on all of them.
        making_bytes: memory for the signals in the making; None: no limit.
    """

    data: DataConfig
    seed: int
    blocks: list[NoiseBlock]
    streamed: StreamedNoise | None = None
    share: Share = ALL
    put: Callable[[Any], Any] = jax.device_put
    making_bytes: int | None = None
    _owners: dict[int, Int[np.ndarray, "signal"]] = field(init=False, default_factory=dict)
    _told: bool = field(init=False, default=False)
    _kept: tuple[NoiseBank, Transients] | None = field(init=False, default=None)

    def make(self, generation: int, pace: Pace = at_once) -> Banks:
        """Make a generation; after the first of a process this compiles nothing."""
        noise, transients, blocks = self._noise(generation)
        name = f"train {generation}"
        signals = build_signals(
            blocks,
            self.data,
            signals=self.data.signals.bank_size,
            seed=self.seed,
            name=name,
            pace=pace,
            share=self.share,
            making_bytes=self.making_bytes,
        )
        glitches = build_glitch_bank(blocks, self.data, seed=self.seed, name=name)
        banks = stored(Banks(noise, signals, glitches, transients), self.data.storage)
        if self.share.count > 1:
            signals_made = self.data.signals.bank_size
            self._owners[generation] = owners_of(blocks, signals_made, self.seed, name, self.share)
            return banks
        return jax.block_until_ready(self.put(banks))

    def finish(self, generation: int, banks: Banks) -> Banks:
        """Exchange the shares of a generation, where it was made in shares."""
        if self.share.count == 1:
            return banks
        signals = exchange(banks.signals, self._owners.pop(generation), self.share)
        whole: Banks = self.put(banks._replace(signals=signals))
        return whole

    def _noise(self, generation: int) -> tuple[NoiseBank, Transients, list[NoiseBlock]]:
        if self.streamed is not None:
            return self._next_noise(self.streamed, generation)
        if self._kept is None:
            noise = build_noise(self.blocks, self.data, "train")
            kept = noise, self._transients(noise)
            self._kept = self.put(stored_noise(kept[0], self.data.storage)), kept[1]
        return *self._kept, self.blocks

    def _next_noise(
        self, streamed: StreamedNoise, generation: int
    ) -> tuple[NoiseBank, Transients, list[NoiseBlock]]:
        blocks = streamed.read(self.seed, generation, self.data)
        noise = build_noise(blocks, self.data, "train")
        transients = self._transients(noise)
        if self.data.glitches.real_fraction:
            transients = padded_transients(transients)
        pieces = streamed.at_a_time
        numbers = min(pieces, len(streamed.blocks))
        room = padded_noise(noise, pieces * streamed.cache.longest, pieces, numbers)
        return room, transients, blocks

    def _transients(self, noise: NoiseBank) -> Transients:
        found = build_transients(noise, self.data)
        if not self._told:
            tell_transients(found, self.data, "training")
            self._told = True
        return found


def stream_noise(
    folder: Path,
    blocks: list[NoiseBlock],
    data: DataConfig,
    plan: BankPlan,
    budget_bytes: int,
    at_a_time: int | None = None,
) -> StreamedNoise:
    """Put noise that does not fit into a file, and decide how much of it fits at a time.

    Args:
        at_a_time: pieces, as a run that goes on began with; None: as many as fit, rounded
            down to a power of two, so that runs of about the same memory meet the same noise.

    Raises:
        BankError: not a single piece fits twice, or fewer than `at_a_time`.
    """
    cache = cache_noise(folder, blocks, data)
    room = plan.noise_at_a_time(budget_bytes)
    piece = noise_bytes(data, cache.longest / data.sample_rate_hz)
    fit = room // piece
    left = f"{max(room, 0) / 1e6:.4g} MB of the budget are left for noise"
    if fit < 1:
        raise BankError(
            f"{left}, a piece of it takes {piece / 1e6:.4g} MB: lower data.signals.bank_size, "
            "set data.storage=float16, or raise runtime.memory_budget_gb"
        )
    if at_a_time is not None and fit < at_a_time:
        raise BankError(
            f"{left}, the run began with {at_a_time} pieces of it at a time, "
            f"{at_a_time * piece / 1e6:.4g} MB: raise runtime.memory_budget_gb, or begin anew by "
            "resume=never"
        )
    at_a_time = at_a_time or 1 << (fit.bit_length() - 1)
    log.info("noise streams: %d of %d pieces at a time", at_a_time, len(cache.pieces))
    return StreamedNoise(cache, at_a_time, [block._replace(stretches=[]) for block in blocks])
