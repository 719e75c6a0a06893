"""Beginning again in a used run folder without losing what is there."""

from pathlib import Path


def set_aside(path: Path) -> Path | None:
    """Rename a file or folder of an earlier run.

    Returns:
        The new path, `<name>.before-1` or the next free number; None where there was nothing.
    """
    if not path.exists():
        return None
    number = 1
    while (target := path.with_name(f"{path.name}.before-{number}")).exists():
        number += 1
    return path.rename(target)
