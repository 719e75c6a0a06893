"""What differs between nested settings, by dotted name."""

from collections.abc import Mapping, Sequence
from typing import Any

ABSENT = "–"
# Where and how a run was written down, not what was run.
LEFT_OUT = ("name", "run_dir", "output_dir", "wandb.", "tracker.", "hydra.")


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings by dotted name; an empty mapping is a value."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping) and value:
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found


def differences(settings: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[str]]]:
    """Return (name, the value of each) of the settings that are not the same in all.

    A setting that one has and another has not differs, also where its value is null. The order
    is that in which the names first appear; names of folders and trackers are left out.
    """
    flats = [flat(one) for one in settings]
    names = dict.fromkeys(name for one in flats for name in one)
    rows = []
    for name in names:
        if name.startswith(LEFT_OUT):
            continue
        told = [_text(one[name]) if name in one else ABSENT for one in flats]
        if len(set(told)) > 1:
            rows.append((name, told))
    return rows


def _text(value: Any) -> str:
    """Return a value as YAML writes it, so that 1 and 1.0 are told apart from "1"."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_text(part) for part in value) + "]"
    return str(value) if value != "" else '""'
