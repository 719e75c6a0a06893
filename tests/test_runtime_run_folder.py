"""The run folder: made, checked, held by one process, free after any end of it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ligo_cpc_snn.runtime.run_folder import RunFolderError, open_run_folder

HOLD = """
import sys, time
from ligo_cpc_snn.runtime.run_folder import open_run_folder
with open_run_folder(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


def test_folder_is_made_and_can_be_opened_again(tmp_path: Path) -> None:
    for _ in range(2):
        with open_run_folder(tmp_path / "a" / "b") as folder:
            assert folder.is_dir()
            assert folder.is_absolute()


def test_second_process_is_refused_until_the_first_is_killed(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "run")], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with (
            pytest.raises(RunFolderError, match=f"in use by process {holder.pid} on "),
            open_run_folder(tmp_path / "run"),
        ):
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait(timeout=30)
        with open_run_folder(tmp_path / "run"):
            pass
    finally:
        holder.kill()
        holder.communicate()


def test_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderError, match="cannot be made"), open_run_folder(tmp_path / "file"):
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_folder_without_permission_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    folder.chmod(0o500)
    with pytest.raises(RunFolderError, match="not writable"), open_run_folder(folder):
        pass


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a read-only file system")
def test_read_only_file_system_is_named() -> None:
    """/proc refuses new folders to root too."""
    with pytest.raises(RunFolderError, match="cannot be made"), open_run_folder("/proc/run"):
        pass


def test_full_disk_is_named_with_numbers(tmp_path: Path) -> None:
    with (
        pytest.raises(RunFolderError, match=r"MB left, expected at least 1000000000 MB"),
        open_run_folder(tmp_path, minimum_free_bytes=10**15),
    ):
        pass
    with open_run_folder(tmp_path):  # the refused start holds nothing
        pass
