"""Versions of what is installed."""

from collections.abc import Iterable
from importlib import metadata


def installed_of(distributions: Iterable[str]) -> dict[str, str]:
    """Return version by name of those distributions that are installed, in their order."""
    found = {}
    for name in distributions:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
