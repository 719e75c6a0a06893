"""The platform on which `ligo-optimize` found the work at hand fastest: `auto` tries it first.

It is said before the environment is prepared, by whoever knows the work. A platform that was
asked for by name is not changed by it.
"""

from ligo_cpc_snn.runtime.platforms import BACKENDS

_learned: tuple[str, str] | None = None  # platform, reason


def prefer(found: tuple[str, str] | None) -> None:
    """Let `auto` try a platform first, or forget what was preferred.

    Args:
        found: platform as JAX calls it, and the reason for the log.
    """
    global _learned
    ours = {backend: name for name, backend in BACKENDS.items()}
    _learned = None if found is None else (ours.get(found[0], found[0]), found[1])


def in_order(usual: tuple[str, ...]) -> tuple[str, ...]:
    """Return platforms in the order to be tried."""
    if _learned is None or _learned[0] not in usual:
        return usual
    return (_learned[0], *(name for name in usual if name != _learned[0]))


def why(platform: str) -> list[str]:
    """Return the reason for a platform that is preferred."""
    return [_learned[1]] if _learned is not None and _learned[0] == platform else []
