"""Checks that need several sections of the config; each names keys, values and a remedy.

A check yields the messages of what it finds, so that it reads as a list of
conditions; the first message of the first check becomes the error.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields, is_dataclass
from math import isfinite
from typing import Any

from ligo_cpc_snn.config import (
    data_checks,
    model_checks,
    run_checks,
    signals_checks,
    training_checks,
)
from ligo_cpc_snn.config.errors import ConfigError
from ligo_cpc_snn.config.schema import Config

CHECKS: tuple[Callable[[Config], Iterator[str]], ...] = (
    *run_checks.CHECKS,
    *data_checks.CHECKS,
    *signals_checks.CHECKS,
    *model_checks.CHECKS,
    *training_checks.CHECKS,
)


def check(cfg: Any, found_by: Iterable[Callable[[Any], Iterator[str]]] = CHECKS) -> None:
    """Raise on the first impossible combination of settings.

    Args:
        cfg: a config whose single sections are right.
        found_by: the checks of its root.

    Raises:
        ConfigError: naming keys, values, expectation and remedy.
    """
    for find in (_finite, *found_by):
        for message in find(cfg):
            raise ConfigError(message)


def _finite(cfg: Any) -> Iterator[str]:
    """Find numbers that are not: nothing below is written for them."""

    def walk(value: Any, key: str) -> Iterator[str]:
        if is_dataclass(value):
            for field in fields(value):
                yield from walk(getattr(value, field.name), f"{key}.{field.name}")
        elif isinstance(value, list):
            for item in value:
                yield from walk(item, key)
        elif isinstance(value, float) and not isfinite(value):
            yield f"{key[1:]}={value}: expected a finite number"

    return walk(cfg, "")
