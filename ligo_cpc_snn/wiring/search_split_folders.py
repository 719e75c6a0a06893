"""Where the parts of a search that is split lie. No JAX here: it is known before JAX starts."""

from pathlib import Path

PARTS = "parts"


def folder_of(output_dir: Path, part: str | None) -> Path:
    """Return the folder that a search holds: its own part's, or that of the whole.

    Args:
        output_dir: of the whole search.
        part: as ``1/4``, None for the whole.
    """
    return output_dir if part is None else output_dir / PARTS / part.replace("/", "-of-")
