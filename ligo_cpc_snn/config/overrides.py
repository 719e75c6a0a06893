"""Overrides of the command line and the files they choose, checked before Hydra composes them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType, QuotedString
from hydra.errors import HydraException
from omegaconf import OmegaConf

from ligo_cpc_snn.config.errors import ConfigError, nearest, suggest
from ligo_cpc_snn.config.fields import all_keys, check_value
from ligo_cpc_snn.config.roots import TRAINING, Root
from ligo_cpc_snn.reading.errors import FileContentError, one_line, reason
from ligo_cpc_snn.reading.text import read_yaml_text


def parse(overrides: list[str]) -> list[Override]:
    """Parse overrides in Hydra's syntax.

    Raises:
        ConfigError: an override that cannot be read.
    """
    return [_parse_one(text) for text in overrides]


def _parse_one(text: str) -> Override:
    if "=" not in text and not text.startswith("~"):
        raise ConfigError(
            f"cannot read {text!r}: expected key=value, such as training.batch_size=32"
        )
    try:
        return OverridesParser.create().parse_override(text)
    except HydraException as error:
        raise ConfigError(
            f"cannot read {text!r}: expected key=value ({one_line(reason(error))}); "
            "quote a value with special characters: 'key=\"a=b\"'"
        ) from error


def is_hydra(override: Override) -> bool:
    """Whether an override is for Hydra itself, such as a launcher."""
    key = override.key_or_group
    return key.split(".")[0] == "hydra" or key.startswith("hydra/")


def refuse_sweeps(parsed: list[Override], root: Root[Any] = TRAINING) -> None:
    """Raise where several values are given and one run is asked for."""
    for override in parsed:
        if override.is_sweep_override():
            text = str(override.input_line)
            key, _, values = text.partition("=")
            more = "add --multirun for one run each, or " if root.sweeps else ""
            raise ConfigError(
                f"{text}: several values for one run; {more}write a list: '{key}=[{values}]'"
            )


def groups(conf: Path, root: Root[Any] = TRAINING) -> dict[str, list[str]]:
    """Return the choices of each group of a root, such as the experiments there are."""
    return {
        group: [
            file.relative_to(conf / group).with_suffix("").as_posix()
            for file in sorted((conf / group).glob("**/*.yaml"))
        ]
        for group in root.groups
    }


def check(parsed: list[Override], conf: Path, root: Root[Any] = TRAINING) -> None:
    """Check keys, values and choices of parsed overrides.

    Args:
        parsed: overrides; a sweep is checked value by value.
        conf: folder of configs.
        root: what they are overrides of.

    Raises:
        ConfigError: the first wrong override.
    """
    choices = groups(conf, root)
    for override in parsed:
        if is_hydra(override):
            continue
        key = override.key_or_group
        if override.type is OverrideType.DEL:
            raise ConfigError(f"~{key}: a setting cannot be removed; give a value: {key}=...")
        for value in _values(override):
            if key in choices:
                _check_choice(key, value, choices[key])
            else:
                _check_key(key, value, choices, root.schema)


def _check_key(key: str, value: Any, choices: dict[str, list[str]], schema: type) -> None:
    keys = all_keys(schema)
    near = nearest(key, [*choices, *keys])
    if near in choices and "." not in key and key not in keys:
        raise ConfigError(f"unknown key {key} (value {value}); did you mean {near}?")
    check_value(key, value, schema=schema)


def _values(override: Override) -> list[Any]:
    """Return the plain values of an override, several if it is a sweep."""
    if override.is_discrete_sweep():
        swept = [_parse_one(f"key={text}") for text in override.sweep_string_iterator()]
        return [_plain(one.value()) for one in swept]
    return [] if override.is_sweep_override() else [_plain(override.value())]


def _plain(value: Any) -> Any:
    """Unquote text at any depth: the parser keeps quotes as objects."""
    if isinstance(value, QuotedString):
        return value.text
    if isinstance(value, list):
        return [_plain(part) for part in value]
    if isinstance(value, dict):
        return {str(_plain(name)): _plain(part) for name, part in value.items()}
    return value


def _check_choice(group: str, value: Any, choices: list[str]) -> None:
    if value is None or str(value) in choices:
        return
    there = ", ".join(choices) or "none"
    raise ConfigError(
        f"{group}={value}: there is no such {group}, there are {there}"
        f"{suggest(str(value), choices)}"
    )


def normalise(parsed: list[Override], conf: Path, root: Root[Any] = TRAINING) -> list[str]:
    """Write overrides so that Hydra takes them with and without ``+``.

    Hydra wants ``+`` for a new key of a dictionary and refuses it for a group
    that the defaults list names; here both spellings mean the same.

    Returns:
        Overrides in Hydra's syntax.
    """
    choices = groups(conf, root)
    return [_normalise_one(override, choices) for override in parsed]


def _normalise_one(override: Override, choices: dict[str, list[str]]) -> str:
    text = str(override.input_line)
    if is_hydra(override):
        return text
    bare = text.lstrip("+")
    return bare if override.key_or_group in choices else f"++{bare}"


def check_files(conf: Path, parsed: list[Override], root: Root[Any] = TRAINING) -> None:
    """Check every key of the files, as of experiments, that the overrides choose.

    Args:
        conf: folder of configs.
        parsed: overrides, already checked.
        root: what they are overrides of.

    Raises:
        ConfigError: naming file and key.
    """
    choices = groups(conf, root)
    for override in parsed:
        if not is_hydra(override) and override.key_or_group in choices:
            for value in _values(override):
                if value is not None:
                    _check_file(conf, override.key_or_group, str(value), root)


def _check_file(conf: Path, group: str, name: str, root: Root[Any]) -> None:
    file = conf / group / f"{name}.yaml"
    origin = f"conf/{group}/{name}.yaml"
    content = _read(file, origin)
    for default in content.pop("defaults", []):
        for below, choice in _included(group, default):
            _check_choice(below, choice, groups(conf, root).get(below, []))
            _check_file(conf, below, choice, root)
    package = root.groups[group].package if group in root.groups else "_global_"
    if group in root.groups and f"@package {package}" not in file.read_text(encoding="utf-8"):
        raise ConfigError(f"{origin}: expected '# @package {package}' as its first line")
    content.pop("hydra", None)
    prefix = "" if package == "_global_" else f"{package}."
    for key, value in content.items():
        check_value(f"{prefix}{key}", value, origin, root.schema)


def _included(group: str, default: Any) -> Iterator[tuple[str, str]]:
    """Yield group and name of the file that an entry of a defaults list includes.

    It is ``name``, of the same group, or ``/group@package: name``.
    """
    if isinstance(default, dict):
        for key, name in default.items():
            if str(key).startswith("/") and name is not None:
                yield str(key)[1:].split("@")[0], str(name)
    elif default != "_self_" and not str(default).startswith("/"):
        yield group, str(default)


def _read(file: Path, origin: str) -> dict[str, Any]:
    try:
        read_yaml_text(file)
        content = OmegaConf.to_container(OmegaConf.load(file)) if file.stat().st_size else {}
    except (yaml.YAMLError, ValueError) as error:
        why = error.reason if isinstance(error, FileContentError) else error
        raise ConfigError(f"{origin} is not valid YAML: {why}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"{origin}: expected keys with values, got {type(content).__name__}")
    return {str(key): value for key, value in content.items()}
