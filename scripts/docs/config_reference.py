"""Every setting of every command as pages of the documentation, from the schema's dataclasses.

A hook of mkdocs: the pages are made at each build and are nowhere in the repository, so that
they say what the code says. Units and meanings are the comments beside the fields.
"""

import dataclasses
import inspect
import re
from collections.abc import Iterator
from enum import Enum
from functools import cache
from typing import Any, NamedTuple

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from ligo_cpc_snn.config.fields import expectation, field_types
from ligo_cpc_snn.config.roots import EVALUATION, SEARCH, TRAINING, Root
from ligo_cpc_snn.config.signals_schema import PriorConfig

FOLDER = "reference"
PAGES: dict[str, tuple[str, Root[Any], str]] = {
    "config-training.md": ("Settings of a training", TRAINING, "ligo-train"),
    "config-search.md": ("Settings of a search", SEARCH, "ligo-search"),
    "config-evaluation.md": ("Settings of a measurement", EVALUATION, "ligo-evaluate"),
}
PRIOR_KEYS = ("kind", "low", "high", "index")
_FIELD = re.compile(r"^    (?P<name>\w+): (?P<code>[^#\n]*)(?:# (?P<behind>.+))?$")


class Setting(NamedTuple):
    """One row: a key with its type, default and meaning."""

    key: str
    expected: str
    default: str
    meaning: str


class Section(NamedTuple):
    """A dataclass of the schema: its key, what its docstring says, and its own values."""

    key: str
    about: str
    settings: list[Setting]


def on_files(files: Files, config: MkDocsConfig, **_: Any) -> Files:
    """Hook of mkdocs: add the pages of settings."""
    for name, (title, root, command) in PAGES.items():
        content = page(title, root, command)
        files.append(File.generated(config, f"{FOLDER}/{name}", content=content))
    return files


def page(title: str, root: Root[Any], command: str) -> str:
    """Return the Markdown page of all settings of a root."""
    parts = [
        f"# {title}\n",
        f"Keys of `{command}`, written as `key=value`. A key that is not here is refused, with the "
        "nearest one that is. `null` is no value. The comments of the schema's dataclasses are the "
        f"last column; `{command} --help` prints the same.\n",
    ]
    for section in sections(root):
        parts.append(f"## `{section.key}`\n" if section.key else "## Root\n")
        parts.append(f"{section.about}\n")
        parts.append("| key | takes | default | unit, meaning |\n|---|---|---|---|")
        parts += [f"| {' | '.join(_cells(row))} |" for row in section.settings]
        parts.append("")
    return "\n".join(parts)


def sections(root: Root[Any]) -> list[Section]:
    """Return the sections of a root in the order of its schema, without those that are empty."""
    found = _walk(root.schema, root.schema(), "")
    return [section for section in found if section.settings]


def _walk(kind: type, defaults: Any, key: str) -> Iterator[Section]:
    prefix = f"{key}." if key else ""
    own, below = [], []
    for name, field_kind in field_types(kind).items():
        value = getattr(defaults, name)
        if isinstance(value, PriorConfig):
            own += list(_prior(prefix + name, value, comments(kind).get(name, "")))
        elif dataclasses.is_dataclass(field_kind):
            below.append((field_kind, value, prefix + name))
        else:
            meaning = _joined(comments(kind).get(name, ""), _choices(field_kind))
            own.append(Setting(prefix + name, expectation(field_kind), _shown(value), meaning))
    yield Section(key, _about(kind, own), own)
    for field_kind, value, name in below:
        yield from _walk(field_kind, value, name)  # type: ignore[arg-type]


def _prior(key: str, value: PriorConfig, meaning: str) -> Iterator[Setting]:
    """Yield one row for a prior: it is a section of its own, with many keys of one meaning."""
    law = f"{value.kind.name} {value.low:.4g} to {value.high:.4g}"
    if value.index:
        law += f", index {value.index:g}"
    yield Setting(key, "a prior", law, meaning)


def _about(kind: type, settings: list[Setting]) -> str:
    doc = inspect.getdoc(kind) or ""
    if doc.startswith(f"{kind.__name__}("):  # what a dataclass without a docstring gets
        doc = ""
    notes = [doc] if doc else []
    if any(setting.expected == "a prior" for setting in settings):
        rows = ", ".join(f"`.{name}`" for name in PRIOR_KEYS)
        keys = ", ".join(f"`{name}`" for name in field_types(PriorConfig))
        notes.append(
            f"A prior is a section: {rows} and the others of {keys}. Kinds: "
            f"{expectation(field_types(PriorConfig)['kind'])}."
        )
    return "\n\n".join(notes)


def _choices(kind: Any) -> str:
    """Return what the docstring of an enumeration says of its choices."""
    if not (isinstance(kind, type) and issubclass(kind, Enum)):
        return ""
    doc = kind.__dict__.get("__doc__") or ""
    return "" if doc == "An enumeration." else " ".join(inspect.cleandoc(doc).split())


def _joined(comment: str, choices: str) -> str:
    return ". ".join(part.rstrip(".") for part in (comment, choices) if part)


@cache
def comments(kind: type) -> dict[str, str]:
    """Return the comments above and behind each field in the schema's source."""
    found: dict[str, str] = {}
    above: list[str] = []
    for line in inspect.getsource(kind).splitlines():
        if line.startswith("    # "):
            above.append(line.strip("# \n"))
            continue
        if field := _FIELD.match(line):
            found[field["name"]] = " ".join([*above, field["behind"] or ""]).strip()
        above = []
    return found


def _shown(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, list):
        return f"[{','.join(map(_shown, value))}]"
    if isinstance(value, dict):
        return "{}" if not value else str(value)
    return str(value)


def _cells(row: Setting) -> list[str]:
    default = f"`{row.default}`" if row.default else "empty"
    meaning = row.meaning.replace("<", "&lt;").replace(">", "&gt;")
    cells = [f"`{row.key}`", row.expected, default, meaning]
    return [cell.replace("|", "\\|").replace("*", "\\*") for cell in cells]
