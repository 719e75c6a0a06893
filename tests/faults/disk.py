"""A small disk of its own: a tmpfs in a mount namespace, which can be filled and made read-only.

No privileges are needed where user namespaces are allowed; the disk goes with its holder, also
after `kill -9` of the tests. A read-only mount stops the root user too, which permissions do not.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from commands import Command

MEGABYTES = 320  # a run asks for 200 MB before it begins
HOLD = 'mount -t tmpfs -o size="$1"m tmpfs "$0" && echo ready && exec sleep 100000'
NAMESPACES = ("unshare", "--user", "--map-root-user", "--mount")
BALLAST, PAGE_BYTES = "ballast", 4096


class Disk:
    """A disk that only commands started by `inside` see at `path`.

    Args:
        path: empty folder where it is mounted.
        holder: process whose namespaces it lives in.
    """

    def __init__(self, path: Path, holder: subprocess.Popen[str]) -> None:
        self.path, self.holder = path, holder
        self.seen = Path(f"/proc/{holder.pid}/root{path}")  # the same files from outside

    def inside(self, command: Sequence[str]) -> list[str]:
        """Return the command line that runs a command where the disk is seen."""
        enter = ("--target", str(self.holder.pid), "--user", "--mount", "--preserve-credentials")
        return ["nsenter", *enter, f"--wd={os.getcwd()}", "--", *command]

    def moved(self, command: Command) -> Command:
        """Return a command that writes below `path`, as it is run and looked at here."""
        folder = self.seen / command.folder.relative_to(self.path)
        return replace(command, folder=folder, mounts_of=self.holder.pid)

    def fill(self, left: int) -> None:
        """Leave so many bytes, rounded up to the disk's pages."""
        with (self.seen / BALLAST).open("wb") as file:
            while (size := shutil.disk_usage(self.seen).free - left) >= PAGE_BYTES:
                with suppress(OSError):  # the command has written meanwhile
                    os.posix_fallocate(file.fileno(), file.tell(), size)
                    file.seek(0, os.SEEK_END)

    def free(self) -> None:
        """Give the room back."""
        (self.seen / BALLAST).unlink(missing_ok=True)

    def mount_again(self, mode: str) -> None:
        """Mount it as `ro` or `rw`."""
        command = ["mount", "-o", f"remount,{mode}", str(self.path)]
        subprocess.run(self.inside(command), check=True, capture_output=True)


def missing() -> str:
    """Return why there can be no such disk here, or nothing."""
    if any(shutil.which(tool) is None for tool in ("unshare", "nsenter", "mount")):
        return "no unshare, nsenter or mount here: no small disk to fill"
    tried = subprocess.run([*NAMESPACES, "true"], capture_output=True)
    return "" if tried.returncode == 0 else "no user namespaces here: no small disk to fill"


@contextmanager
def small_disk(path: Path, megabytes: int = MEGABYTES) -> Iterator[Disk]:
    """Mount a disk at `path` for as long as the block lasts."""
    path.mkdir(parents=True, exist_ok=True)
    command = [*NAMESPACES, "sh", "-c", HOLD, str(path), str(megabytes)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "ready\n"
            yield Disk(path, holder)
        finally:
            holder.kill()
