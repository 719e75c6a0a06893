"""JSON and YAML: plain values, so many and so deep as our own files have."""

import json
from pathlib import Path
from typing import Any

import yaml

from ligo_cpc_snn.reading.errors import FileContentError

LARGEST_JSON = 256_000_000  # bytes
LARGEST_YAML = 1_000_000  # bytes; its parser takes a hundred times that
DEEPEST = 64


def parse_json(text: str | bytes) -> Any:
    """Return the values of a text; all that can be wrong with it is a ValueError.

    Raises:
        ValueError: it is no JSON, or too deep.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("its brackets are too deep within each other") from error


def read_json(path: str | Path) -> Any:
    """Return the values of a JSON file.

    Raises:
        OSError: it cannot be read at all.
        FileContentError: it is no JSON, too large or too deep.
    """
    path = Path(path)
    size = path.stat().st_size
    if size > LARGEST_JSON:
        raise FileContentError(path, f"{size / 1e6:.0f} MB of JSON, expected {LARGEST_JSON / 1e6}")
    try:
        return parse_json(path.read_bytes())
    except ValueError as error:
        raise FileContentError(path, f"no JSON ({error})") from error


def check_yaml(text: str) -> None:
    """Look through a YAML text, of events alone: no value is made of it.

    Aliases are refused: ten lines of them are a billion values.

    Raises:
        ValueError: it is no YAML, too large, too deep, or has aliases or tags of Python.
    """
    if len(text) > LARGEST_YAML:
        raise ValueError(f"{len(text) / 1e6:.1f} MB, expected {LARGEST_YAML / 1e6:g} at most")
    depth = 0
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                raise ValueError("an alias (*name): write the value out")
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            if depth > DEEPEST:
                raise ValueError(f"more than {DEEPEST} levels")
            if "python" in (getattr(event, "tag", None) or ""):
                raise ValueError(f"the tag {event.tag}: expected plain values")
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error
    except RecursionError as error:
        raise ValueError("too deep") from error


def read_yaml_text(path: str | Path) -> str:
    """Return the text of a YAML file that `check_yaml` passed.

    Raises:
        OSError: it cannot be read at all.
        FileContentError: it is no text, or did not pass.
    """
    path = Path(path)
    if (size := path.stat().st_size) > LARGEST_YAML:
        raise FileContentError(path, f"{size / 1e6:.1f} MB, expected {LARGEST_YAML / 1e6:g}")
    try:
        text = path.read_text(encoding="utf-8")
        check_yaml(text)
    except ValueError as error:
        raise FileContentError(path, f"no YAML that can be used: {error}") from error
    return text
