"""The banks of a run, from its config to the device."""

import logging
import time
from pathlib import Path
from typing import NamedTuple

import jax

from ligo_cpc_snn.config.schema import Config
from ligo_cpc_snn.dataset.banks import Banks
from ligo_cpc_snn.dataset.build import build_banks
from ligo_cpc_snn.dataset.load import Noise, load_noise

log = logging.getLogger(__name__)


class Data(NamedTuple):
    """Banks on the device, and the noise they were made of."""

    training: Banks
    validation: Banks
    noise: Noise


def prepare_data(cfg: Config, *, cache_dir: Path, budget_bytes: int) -> Data:
    """Make the banks and put them on the device."""
    begun = time.monotonic()
    noise = load_noise(cfg.data, seed=cfg.seed, cache_dir=cache_dir, budget_bytes=budget_bytes)
    signals = cfg.data.signals
    training = build_banks(
        noise.training, cfg.data, signals=signals.bank_size, seed=cfg.seed, name="train"
    )
    validation = build_banks(
        noise.validation,
        cfg.data,
        signals=signals.validation_bank_size,
        seed=cfg.seed,
        name="validation",
    )
    log.info(
        "banks: %.0f s of noise and %d signals to train, %.0f s and %d to validate, %.0f MB, "
        "made in %.1f s",
        sum(block.seconds for block in noise.training),
        signals.bank_size,
        sum(block.seconds for block in noise.validation),
        signals.validation_bank_size,
        sum(noise.plan) / 1e6,
        time.monotonic() - begun,
    )
    return Data(jax.device_put(training), jax.device_put(validation), noise)
