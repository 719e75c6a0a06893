"""The text of --help, made from the files of conf/ and the comments of the schema."""

import dataclasses
import inspect
import re
from collections.abc import Iterator
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any

from ligo_cpc_snn.config.fields import field_types
from ligo_cpc_snn.config.overrides import groups
from ligo_cpc_snn.config.roots import TRAINING, Root
from ligo_cpc_snn.config.signals_schema import PriorConfig

_USAGE = """\
{description}

usage: {program} {usage}

options:
  -h, --help         this text
  -c, --cfg job      print the composed config and stop; --resolve fills in ${{...}}{options}

{groups}settings and their defaults (text after # is the unit or the meaning):
{settings}

environment:
  LIGO_PLATFORM      auto, cpu, cuda, metal or mps; wins over runtime.platform
  LIGO_CACHE_DIR     folder of compiled programs and downloads
  LIGO_MEM_FRACTION  of the device's memory; wins over runtime.memory_fraction
  LIGO_TRACEBACK     if set, errors come with their traceback

examples:
{examples}"""


def help_text(program: str, description: str, conf: Path, root: Root[Any] = TRAINING) -> str:
    """Return the help of a command.

    Args:
        program: the command as the user writes it.
        description: what it does.
        conf: folder of configs.
        root: its settings.

    Returns:
        Usage, experiments, populations, settings with defaults and units, examples.
    """
    return _USAGE.format(
        program=program,
        description=description,
        usage=root.usage,
        options=root.options,
        groups="".join(_group(conf, name, root) for name in root.groups),
        settings="\n".join(_settings(root.schema, root.schema(), "")),
        examples="\n".join(f"  {program} {arguments}" for arguments in root.examples),
    )


def _group(conf: Path, group: str, root: Root[Any]) -> str:
    choices = "\n".join(_choices(conf, group, groups(conf, root)[group]))
    return f"{root.groups[group].title}:\n{choices}\n\n"


def _choices(conf: Path, group: str, names: list[str]) -> Iterator[str]:
    for name in names:
        yield f"  {name:<18} {_first_comment(conf / group / f'{name}.yaml')}".rstrip()
    if not names:
        yield "  none"


def _first_comment(file: Path) -> str:
    """Return what a file is for: its first comment that is no directive of Hydra."""
    for line in file.read_text(encoding="utf-8").splitlines():
        if line.startswith("#") and "@package" not in line:
            return line.lstrip("# ").strip()
    return ""


@cache
def _comments(section: type) -> dict[str, str]:
    """Return the comment behind each field in the schema's source."""
    found = re.findall(r"^    (\w+): [^#\n]*  # (.+)$", inspect.getsource(section), re.MULTILINE)
    return dict(found)


def _settings(section: type, defaults: Any, prefix: str) -> Iterator[str]:
    """List values first, then the sections below, as they stand in the file of a run."""
    below = []
    for name, kind in field_types(section).items():
        value = getattr(defaults, name)
        if dataclasses.is_dataclass(kind):
            below.append((name, kind, value))
            continue
        yield _line(f"{prefix}{name}={_shown(value)}", _meaning(section, name, value))
    for name, kind, value in below:
        yield from [""] if not prefix else []
        yield from _section(kind, value, f"{prefix}{name}")


def _section(kind: Any, value: Any, key: str) -> Iterator[str]:
    if isinstance(value, PriorConfig):  # many of them, one line each
        power = f" {value.index:g}" if value.index else ""
        law = f"{value.kind.name}{power} {value.low:g} {value.high:g}"
        yield _line(f"{key}.{{kind,low,high}}", law)
        return
    yield from _settings(kind, value, f"{key}.")


def _meaning(section: type, name: str, value: Any) -> str:
    comment = _comments(section).get(name, "")
    if isinstance(value, Enum):
        choices = "|".join(choice.name for choice in type(value))
        return f"{choices}  {comment}".rstrip()
    return comment


def _shown(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{','.join(map(_shown, value))}]"
    return value.name if isinstance(value, Enum) else str(value)


def _line(setting: str, comment: str) -> str:
    return f"  {setting:<52} # {comment}" if comment else f"  {setting}"
