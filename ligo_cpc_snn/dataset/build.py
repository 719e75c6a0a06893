"""Make the banks of a run: noise and, whitened alike, the signals to put into it."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Key

from ligo_cpc_snn.config.data_schema import DataConfig
from ligo_cpc_snn.dataset.banks import (
    Banks,
    SignalBank,
    Stretch,
    build_noise_bank,
    no_glitches,
    no_transients,
)
from ligo_cpc_snn.dataset.noise import NoiseBlock
from ligo_cpc_snn.dataset.sampling import signal_layout
from ligo_cpc_snn.rng import stream
from ligo_cpc_snn.signals.whitened import whitened_signals

FLOAT32 = 4  # bytes


class BankError(ValueError):
    """The banks cannot be made as configured."""


class BankPlan(NamedTuple):
    """Bytes that the banks of a run will take on the device."""

    training_noise: int
    training_signals: int
    validation_noise: int
    validation_signals: int

    def check(self, budget_bytes: int) -> None:
        """Raise unless the banks fit.

        Raises:
            BankError: with the size of each bank and of the budget.
        """
        if sum(self) > budget_bytes:
            parts = ", ".join(
                f"{name.replace('_', ' ')} {size / 1e6:.3g} MB"
                for name, size in self._asdict().items()
            )
            raise BankError(
                f"the banks need {sum(self) / 1e6:.4g} MB ({parts}), the budget is "
                f"{budget_bytes / 1e6:.4g} MB: lower data.signals.bank_size or "
                "data.synthetic.seconds, or raise runtime.memory_budget_gb"
            )


def plan_banks(
    data: DataConfig, training: Sequence[NoiseBlock], validation: Sequence[NoiseBlock]
) -> BankPlan:
    """Return what the banks will take, before any signal is made."""
    layout = signal_layout(data)
    per_signal = len(data.detectors) * (layout.before + layout.after) * FLOAT32
    return BankPlan(
        _noise_bytes(data, sum((b.seconds for b in training), 0.0)),
        data.signals.bank_size * per_signal,
        _noise_bytes(data, sum((b.seconds for b in validation), 0.0)),
        data.signals.validation_bank_size * per_signal,
    )


def plan_synthetic(data: DataConfig) -> BankPlan:
    """Return what the banks of simulated noise will take, before any noise is made."""
    empty = plan_banks(data, [], [])
    return empty._replace(
        training_noise=_noise_bytes(data, data.synthetic.seconds),
        validation_noise=_noise_bytes(data, data.synthetic.validation_seconds),
    )


def build_banks(
    blocks: Sequence[NoiseBlock], data: DataConfig, *, signals: int, seed: int, name: str
) -> Banks:
    """Make noise and signal banks on the host.

    A signal is whitened with the filters of one block, and each block gets signals in
    proportion to its time, so that noise and signal always share their PSD.

    Args:
        blocks: noise with its filters; the block's place is the number of its PSD.
        signals: number of signals in the bank.
        seed, name: of the random stream, as 0 and "train".

    Raises:
        BankError: when there are no blocks, or fewer signals than blocks.
    """
    if not blocks:
        raise BankError(
            f"no {name} noise is left after cuts: give longer strain, or change "
            "data.real.validation_fraction, minimum_seconds or exclude_gps"
        )
    noise = build_noise_bank(
        [_stretches(blocks, detector) for detector in data.detectors], data.window_samples
    )
    key, parts = stream(seed, f"signals {name}"), []
    for number, count in enumerate(_shares(blocks, signals)):
        strain, snr = _signals(jax.random.fold_in(key, number), blocks[number], data, count)
        psd = np.full((count, len(data.detectors)), number, np.int32)
        parts.append(SignalBank(strain, psd, snr))
    bank = SignalBank(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    return Banks(noise, bank, no_glitches(data.window_samples), no_transients())


def _signals(
    key: Key[Array, ""], block: NoiseBlock, data: DataConfig, count: int
) -> tuple[np.ndarray, np.ndarray]:
    layout = signal_layout(data)
    strain, drawn = whitened_signals(
        key,
        data.signals,
        count=count,
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


def _noise_bytes(data: DataConfig, seconds: float) -> int:
    return round(seconds * data.sample_rate_hz) * len(data.detectors) * FLOAT32
