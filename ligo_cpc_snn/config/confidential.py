"""Settings that hold a key or a password are refused before any of them is written."""

from collections.abc import Iterator
from typing import Any

from ligo_cpc_snn.confidential import confided
from ligo_cpc_snn.config.errors import ConfigError


def refuse(settings: Any) -> None:
    """Check settings, as plain dictionaries, lists and scalars, before any is written.

    Raises:
        ConfigError: one holds a key or a password; names the setting, not the value.
    """
    for name, text in _texts(settings, ""):
        if confided(text):
            raise ConfigError(
                f"{name} holds a key or a password, which the run folder, its log and its report "
                "would show: give it by an environment variable such as WANDB_API_KEY, or in "
                "~/.netrc, and leave it out of the settings"
            )


def _texts(tree: Any, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(tree, dict):
        for key, part in tree.items():
            yield name or "the settings", str(key)
            yield from _texts(part, f"{name}.{key}" if name else str(key))
    elif isinstance(tree, list):
        for part in tree:
            yield from _texts(part, name)
    elif isinstance(tree, str):
        yield name, tree
