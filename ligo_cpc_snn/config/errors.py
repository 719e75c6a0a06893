"""The error of every wrong setting: one line that names key, value, expectation and remedy."""

import difflib
from collections.abc import Iterable


class ConfigError(ValueError):
    """A setting that cannot be used; its text is a single line."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


def nearest(wrong: str, right: Iterable[str]) -> str | None:
    """Return the name most like a wrong one, None when nothing is near."""
    near = difflib.get_close_matches(wrong, sorted(right), n=1, cutoff=0.5)
    return near[0] if near else None


def suggest(wrong: str, right: Iterable[str]) -> str:
    """Return a hint such as ``; did you mean x?``, empty when nothing is near.

    Args:
        wrong: the name that was given.
        right: the names there are.

    Returns:
        The hint, to be put at the end of a message.
    """
    near = nearest(wrong, right)
    return f"; did you mean {near}?" if near else ""
