"""A search in parts, by jobs that know nothing of each other, put together into one.

Strain is searched in groups of stretches, each a file of progress that depends on nothing else.
Part i of n searches every n-th group into a folder of its own; the search of the whole moves
these files to its own progress and goes on as if it had searched them itself: its results are
the same to the last byte.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from filelock import FileLock, Timeout

from ligo_cpc_snn.runtime.run_folder import LOCK_FILE
from ligo_cpc_snn.wiring.search_progress import Progress, ProgressError
from ligo_cpc_snn.wiring.search_split_folders import PARTS

log = logging.getLogger(__name__)

Group = TypeVar("Group")


def own_groups(groups: Sequence[Group], part: str) -> Sequence[Group]:
    """Return the groups of a part, as ``1/4``: every n-th one, so that parts take equal times."""
    number, _, parts = part.partition("/")
    return groups[int(number) - 1 :: int(parts)]


def adopt_parts(progress: Progress, output_dir: Path) -> None:
    """Move what parts have found to the progress of the whole search.

    Raises:
        ProgressError: a part is still searched, or was searched by other settings.
    """
    for folder in sorted((output_dir / PARTS).glob("*-of-*")):
        lock = FileLock(folder / LOCK_FILE)
        try:
            with lock.acquire(timeout=0):
                moved = progress.adopt(folder / "progress")
        except Timeout as error:
            raise ProgressError(
                f"{folder} is still being searched: wait until its job has ended"
            ) from error
        if moved:
            log.info("%d groups of strain come from part %s", moved, folder.name)
