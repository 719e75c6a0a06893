"""The schema as a tree of keys: what each key is, what it takes, and which key was meant.

Hydra accepts an unknown key that was given with ``+`` and then trains the
default; here every key is looked up in the dataclasses before Hydra sees it.
"""

import dataclasses
import typing
from collections.abc import Iterator
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any

from omegaconf import MISSING, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ligo_cpc_snn.config.errors import ConfigError, suggest
from ligo_cpc_snn.config.schema import Config

_NAMES = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}


@cache
def field_types(section: type) -> dict[str, Any]:
    """Return the type of each field of a dataclass."""
    hints = typing.get_type_hints(section)
    return {field.name: hints[field.name] for field in dataclasses.fields(section)}


@cache
def all_keys(schema: type = Config) -> tuple[str, ...]:
    """Return every key of a schema, sections included, in dotted form."""
    return tuple(_walk(schema, ""))


def _walk(section: type, prefix: str) -> Iterator[str]:
    for name, kind in field_types(section).items():
        yield prefix + name
        if dataclasses.is_dataclass(kind):
            yield from _walk(typing.cast(type, kind), f"{prefix}{name}.")


def field_type(key: str, origin: str, schema: type = Config) -> Any:
    """Return the type of a dotted key.

    Args:
        key: such as ``data.window_seconds``.
        origin: where it was given, for the message; empty on the command line.
        schema: dataclass of the root.

    Returns:
        The annotation of the field.

    Raises:
        ConfigError: there is no such key.
    """
    kind: Any = schema
    names = key.split(".")
    for depth, name in enumerate(names):
        if typing.get_origin(kind) is dict and name:
            return typing.get_args(kind)[1]
        known = field_types(typing.cast(type, kind)) if dataclasses.is_dataclass(kind) else {}
        if name not in known:
            section = ".".join(names[:depth])
            raise ConfigError(_unknown(key, section, list(known), origin, schema))
        kind = known[name]
    return kind


def _unknown(key: str, section: str, known: list[str], origin: str, schema: type) -> str:
    """Say which key was meant: first in the same section, then anywhere by its last name."""
    place = f" in {origin}" if origin else ""
    if not known:
        return f"unknown key {key}{place}: {section} is a value, it has no keys below it"
    prefix = f"{section}." if section else ""
    siblings = [prefix + name for name in known]
    last = key.rsplit(".", 1)[-1]
    # A right name in the wrong section is a likelier slip than a sibling that looks alike.
    elsewhere = [right for right in all_keys(schema) if right.rsplit(".", 1)[-1] == last]
    wrong = prefix + key[len(prefix) :].split(".")[0]
    hint = suggest(key, elsewhere) if elsewhere else suggest(wrong, siblings)
    expected = f"{section or 'the root'} has {', '.join(known)}"
    return f"unknown key {key}{place}: {expected}{hint or suggest(key, all_keys(schema))}"


def expectation(kind: Any) -> str:
    """Return what a field of this type takes, in words."""
    if typing.get_origin(kind) in (UnionType, typing.Union):
        parts = [part for part in typing.get_args(kind) if part is not NoneType]
        return " or ".join([*map(expectation, parts), "null"])
    if typing.get_origin(kind) is list:
        return f"a list such as [a,b], each {expectation(typing.get_args(kind)[0])}"
    if typing.get_origin(kind) is dict or dataclasses.is_dataclass(kind):
        return "a section of keys"
    if isinstance(kind, type) and issubclass(kind, Enum):
        return f"one of {', '.join(choice.name for choice in kind)}"
    return _NAMES.get(kind, str(kind))


def check_value(key: str, value: Any, origin: str = "", schema: type = Config) -> None:
    """Check that a key exists and takes a value; sections are checked key by key.

    Args:
        key: dotted key.
        value: plain value: scalar, list or mapping.
        origin: where it was given, for the message; empty on the command line.
        schema: dataclass of the root.

    Raises:
        ConfigError: unknown key, wrong type or wrong choice.
    """
    kind = field_type(key, origin, schema)
    if dataclasses.is_dataclass(kind) and isinstance(value, dict):
        for name, part in value.items():
            check_value(f"{key}.{name}", part, origin, schema)
        return
    if _is_interpolation(value):
        return
    if dataclasses.is_dataclass(kind) or not _accepts(kind, value):
        raise ConfigError(_wrong_value(key, value, kind, origin))


def _is_interpolation(value: Any) -> bool:
    return isinstance(value, str) and "${" in value


@cache
def _holder(kind: Any) -> type:
    """Return a dataclass of one field: OmegaConf's own rules decide what the type takes."""
    return dataclasses.make_dataclass(
        "Holder", [("value", kind, dataclasses.field(default=MISSING))]
    )


def _accepts(kind: Any, value: Any) -> bool:
    try:
        OmegaConf.structured(_holder(kind)).value = value
    except OmegaConfBaseException:
        return False
    return True


def _wrong_value(key: str, value: Any, kind: Any, origin: str) -> str:
    place = f" in {origin}" if origin else ""
    shown = "null" if value is None else value
    hint = ""
    if isinstance(kind, type) and issubclass(kind, Enum):
        hint = suggest(str(value), [choice.name for choice in kind])
    return f"{key}={shown}{place}: expected {expectation(kind)}{hint}"
