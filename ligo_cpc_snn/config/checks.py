"""Checks that need several sections of the config; each names keys, values and a remedy.

A check yields the messages of what it finds, so that it reads as a list of
conditions; the first message of the first check becomes the error.
"""

from collections.abc import Callable, Iterator

from ligo_cpc_snn.config import data_checks, model_checks, run_checks, training_checks
from ligo_cpc_snn.config.errors import ConfigError
from ligo_cpc_snn.config.schema import Config

CHECKS: tuple[Callable[[Config], Iterator[str]], ...] = (
    *run_checks.CHECKS,
    *data_checks.CHECKS,
    *model_checks.CHECKS,
    *training_checks.CHECKS,
)


def check(cfg: Config) -> None:
    """Raise on the first impossible combination of settings.

    Args:
        cfg: a config whose single sections are right.

    Raises:
        ConfigError: naming keys, values, expectation and remedy.
    """
    for find in CHECKS:
        for message in find(cfg):
            raise ConfigError(message)
