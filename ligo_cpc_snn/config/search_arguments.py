"""The search's own arguments (files, --event, --detector, ...) written as overrides."""

import argparse
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from ligo_cpc_snn.config.command_line import Parser
from ligo_cpc_snn.config.errors import ConfigError
from ligo_cpc_snn.config.fields import all_keys
from ligo_cpc_snn.config.search_schema import SearchConfig

# Options that are one setting each.
_SETTINGS = {
    "detector": "detector",
    "start": "strain.gwosc.start",
    "end": "strain.gwosc.end",
    "follow": "follow",
    "output": "output_dir",
}
_TEXT = ("detector", "follow", "output")


def to_overrides(arguments: Sequence[str]) -> list[str]:
    """Return the command line with files and the search's own options as overrides.

    An argument that names an existing file or folder is one, whatever it looks like; otherwise
    `key=value` is an override.

    Raises:
        ConfigError: an option without its value, a file that is not there, or a setting that is
            given twice.
    """
    parser = Parser(add_help=False, allow_abbrev=False)
    for name in _SETTINGS:
        parser.add_argument(f"--{name}")
    parser.add_argument("--event", action="append", default=[])
    parser.add_argument("-c", "--cfg")  # of every command: passed on
    options, others = parser.parse_known_args(list(arguments))
    files = [text for text in others if _is_file(text)]
    own = dict(_own(options, files))
    others = [text for text in others if text not in files]
    for text in others:
        key = text.lstrip("+").partition("=")[0]
        if key in own:
            raise ConfigError(f"{text}: {key} is given twice, also as {own[key]}")
    passed_on = [] if options.cfg is None else ["--cfg", options.cfg]
    return [*passed_on, *others, *own.values()]


def _own(options: argparse.Namespace, files: list[str]) -> Iterator[tuple[str, str]]:
    """Yield key and override of what was given."""
    for name, key in _SETTINGS.items():
        value = getattr(options, name)
        if value is not None:
            yield key, f"{key}={quoted(value) if name in _TEXT else value}"
    for key, values in (("strain.gwosc.events", options.event), ("strain.files", files)):
        if values:
            yield key, f"{key}=[{','.join(map(quoted, values))}]"


def _is_file(text: str) -> bool:
    if Path(text).expanduser().exists():
        return True
    key, equals, _ = text.lstrip("+~").partition("=")
    ours = text.startswith("-") or key.startswith(("hydra/", "hydra."))
    if ours or key in all_keys(SearchConfig) or (equals and "/" not in key):
        return False
    hint = f"; for an event write --event {text}" if re.match(r"GW\d{6}", text) else ""
    raise ConfigError(
        f"{text}: there is no such file or folder, and it is no setting of the form key=value{hint}"
    )


def quoted(text: str) -> str:
    """Return text as a value of an override, in Hydra's quotes."""
    escaped = re.sub(r"(\\*)'", lambda found: 2 * found[1] + r"\'", text)
    tail = len(escaped) - len(escaped.rstrip("\\"))
    return f"'{escaped}{tail * chr(92)}'"
