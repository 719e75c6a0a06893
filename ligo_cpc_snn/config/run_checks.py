"""Checks of the run itself, of sizes and fractions, of evaluation and event."""

import re
from collections.abc import Iterator

from ligo_cpc_snn.config.data_schema import Source
from ligo_cpc_snn.config.errors import suggest
from ligo_cpc_snn.config.schema import Config

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
# Below this many expected false positives a rate is noise itself.
EXPECTED_FALSE_POSITIVES = 10


def _run(cfg: Config) -> Iterator[str]:
    if not re.fullmatch(r"[\w.+=,-]+", cfg.name) or cfg.name in (".", ".."):
        yield (
            f"name={cfg.name!r}: expected letters, digits and . _ - only, it names the run folder"
        )
    if cfg.seed < 0:
        yield f"seed={cfg.seed}: expected 0 or more"
    if cfg.runtime.log_level not in LOG_LEVELS:
        hint = suggest(cfg.runtime.log_level.upper(), LOG_LEVELS)
        yield (
            f"runtime.log_level={cfg.runtime.log_level}: expected one of "
            f"{', '.join(LOG_LEVELS)}{hint}"
        )


def _positive(cfg: Config) -> Iterator[str]:
    """Sizes that must be at least one: zero would pass every shape check and mean nothing."""
    sizes = {
        "data.sample_rate_hz": cfg.data.sample_rate_hz,
        "data.signals.bank_size": cfg.data.signals.bank_size,
        "data.signals.validation_bank_size": cfg.data.signals.validation_bank_size,
        "model.encoder.features": cfg.model.encoder.features,
        "model.encoder.stride": cfg.model.encoder.stride,
        "model.context.features": cfg.model.context.features,
        "training.infonce.features": cfg.training.infonce.features,
        "training.infonce.steps": cfg.training.infonce.steps,
        "training.infonce.first_step": cfg.training.infonce.first_step,
        "training.log_every": cfg.training.log_every,
        "training.evaluate_every": cfg.training.evaluate_every,
        "training.evaluate_windows": cfg.training.evaluate_windows,
        "training.checkpoint.every_steps": cfg.training.checkpoint.every_steps,
        "training.checkpoint.keep_last": cfg.training.checkpoint.keep_last,
        "evaluation.windows": cfg.evaluation.windows,
        "evaluation.signal_windows": cfg.evaluation.signal_windows,
        "evaluation.batch_size": cfg.evaluation.batch_size,
        "data.real.block_seconds": cfg.data.real.block_seconds,
    }
    for key, value in sizes.items():
        if value < 1:
            yield f"{key}={value}: expected 1 or more"


def _fractions(cfg: Config) -> Iterator[str]:
    fractions = {
        "data.signals.signal_fraction": cfg.data.signals.signal_fraction,
        "data.real.validation_fraction": cfg.data.real.validation_fraction,
        "data.real.test_fraction": cfg.data.real.test_fraction,
        "training.target_rate": cfg.training.target_rate,
        "training.optimiser.final_fraction": cfg.training.optimiser.final_fraction,
    }
    for key, value in fractions.items():
        if not 0 <= value <= 1:
            yield f"{key}={value}: expected a number from 0 to 1"
    validation, test = cfg.data.real.validation_fraction, cfg.data.real.test_fraction
    if not 0 < validation < 1 and cfg.data.source is not Source.synthetic:
        yield (
            f"data.real.validation_fraction={validation}: expected more than 0 and less than 1, "
            "validation needs strain of its own"
        )
    if validation + test >= 1 and cfg.data.source is not Source.synthetic:
        yield (
            f"data.real.validation_fraction={validation} and test_fraction={test}: expected less "
            "than 1 together, the rest is trained on"
        )


def _evaluation(cfg: Config) -> Iterator[str]:
    windows = cfg.evaluation.windows
    rates = cfg.evaluation.false_positive_rates
    for rate in rates:
        if not 0 < rate < 1:
            yield f"evaluation.false_positive_rates has {rate}: expected more than 0, less than 1"
    # 1e-3 * 10000 is 9.999...: allow for the rounding of the product.
    least = EXPECTED_FALSE_POSITIVES * (1 - 1e-9)
    if unresolved := [rate for rate in rates if rate > 0 and rate * windows < least]:
        needed = round(EXPECTED_FALSE_POSITIVES / min(unresolved))
        yield (
            f"evaluation.false_positive_rates has {', '.join(map(str, unresolved))}, which "
            f"evaluation.windows={windows} cannot resolve: {EXPECTED_FALSE_POSITIVES} false "
            f"positives need {needed} windows; give as many or leave these rates out"
        )
    if any(snr < 0 for snr in cfg.evaluation.snrs):
        yield f"evaluation.snrs={cfg.evaluation.snrs}: expected each to be 0 or more"


def _event(cfg: Config) -> Iterator[str]:
    event = cfg.event
    if event.name is None and event.gps is not None:
        yield f"event.gps={event.gps} without event.name: give both"
    if event.name is not None and event.gps is None:
        yield f"event.name={event.name} without event.gps: give the merger's GPS time"
    if event.name is not None and cfg.data.source is not Source.real:
        source = cfg.data.source.value
        yield f"event.name={event.name} with data.source={source}: an event is recorded"
    if event.name is not None and event.seconds < cfg.data.window_seconds:
        yield (
            f"event.seconds={event.seconds}: expected at least data.window_seconds="
            f"{cfg.data.window_seconds}"
        )
    if event.time_slides < 0:
        yield f"event.time_slides={event.time_slides}: expected 0 or more"


CHECKS = (
    _run,
    _positive,
    _fractions,
    _evaluation,
    _event,
)
