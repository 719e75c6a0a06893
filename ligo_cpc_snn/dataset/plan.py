"""What the banks of a run will take on the device, before any of them is made."""

from collections.abc import Sequence
from typing import NamedTuple

from ligo_cpc_snn.config.data_schema import DataConfig
from ligo_cpc_snn.dataset.noise import NoiseBlock
from ligo_cpc_snn.dataset.sampling import signal_layout
from ligo_cpc_snn.dataset.storage import storage_type


class BankError(ValueError):
    """The banks cannot be made as configured."""


class BankPlan(NamedTuple):
    """Bytes that the banks of a run will take on the device.

    `next_generation` is what is made of signals and glitches while others are in use. With
    it, noise that is too large streams: then part of it is on the device, and the next part.
    """

    training_noise: int
    training_signals: int
    validation_noise: int
    validation_signals: int
    glitches: int = 0
    next_generation: int = 0

    @property
    def total(self) -> int:
        """Bytes of all banks, were all noise on the device."""
        return sum(self)

    def streams(self, budget_bytes: int) -> bool:
        """Return whether training noise must stream for the banks to fit."""
        return self.total > budget_bytes

    def noise_at_a_time(self, budget_bytes: int) -> int:
        """Return the bytes of training noise that fit twice: those in use and the next."""
        return (budget_bytes - (self.total - self.training_noise)) // 2

    def check(self, budget_bytes: int) -> None:
        """Raise unless the banks fit, all at once or with training noise that streams.

        Raises:
            BankError: with the size of each bank and of the budget.
        """
        room = self.noise_at_a_time(budget_bytes) if self.next_generation else 0
        if not self.streams(budget_bytes) or room > 0:
            return
        parts = ", ".join(
            f"{name.replace('_', ' ')} {size / 1e6:.3g} MB" for name, size in self._asdict().items()
        )
        remedies = [
            "lower data.signals.bank_size or data.synthetic.seconds",
            "halve all banks by data.storage=float16",
            "let noise stream by data.signals.refresh_steps=1000",
            "raise runtime.memory_budget_gb",
        ]
        if self.next_generation:
            del remedies[2]
        raise BankError(
            f"the banks need {self.total / 1e6:.4g} MB ({parts}), the budget is "
            f"{budget_bytes / 1e6:.4g} MB: {', or '.join(remedies)}"
        )


def check_host(plan: BankPlan, data: DataConfig, host_bytes: int | None) -> None:
    """Raise unless whitened noise and the banks made of it fit the host's memory.

    The noise stays, as float32, and beside it are the banks that are made, before they go to
    the device: the training banks, and the signals of the next ones.

    Args:
        host_bytes: of it; None: it is the device's, and `BankPlan.check` has looked.

    Raises:
        BankError: with both sizes.
    """
    whitened = (plan.training_noise + plan.validation_noise) * 4
    noise = whitened // storage_type(data.storage).itemsize
    banks = plan.training_noise + plan.training_signals + plan.glitches + plan.next_generation
    if host_bytes is not None and noise + banks > host_bytes:
        raise BankError(
            f"noise of {noise / 1e6:.4g} MB and banks of {banks / 1e6:.4g} MB in the making are "
            f"more than the host's budget leaves, {max(host_bytes, 0) / 1e6:.4g} MB: raise "
            "runtime.host_memory_gb, or lower data.signals.bank_size or the seconds of noise"
        )


def plan_banks(
    data: DataConfig, training: Sequence[NoiseBlock], validation: Sequence[NoiseBlock]
) -> BankPlan:
    """Return what the banks will take, before any signal is made."""
    number, layout = storage_type(data.storage).itemsize, signal_layout(data)
    per_signal = len(data.detectors) * (layout.before + layout.after) * number
    signals = data.signals.bank_size * per_signal
    glitches = 0
    if data.glitches.synthetic_fraction:
        glitches = data.glitches.bank_size * 2 * data.window_samples * number
    return BankPlan(
        noise_bytes(data, sum((b.seconds for b in training), 0.0)),
        signals,
        noise_bytes(data, sum((b.seconds for b in validation), 0.0)),
        data.signals.validation_bank_size * per_signal,
        2 * glitches,  # of training and of validation
        signals + glitches if data.signals.refresh_steps else 0,
    )


def plan_synthetic(data: DataConfig) -> BankPlan:
    """Return what the banks of simulated noise will take, before any noise is made."""
    return plan_banks(data, [], [])._replace(
        training_noise=noise_bytes(data, data.synthetic.seconds),
        validation_noise=noise_bytes(data, data.synthetic.validation_seconds),
    )


def noise_bytes(data: DataConfig, seconds: float) -> int:
    """Return the bytes of banked noise of all detectors."""
    number = storage_type(data.storage).itemsize
    return round(seconds * data.sample_rate_hz) * len(data.detectors) * number
