"""What is said of a full disk says what to do, also where the system names no file."""

import errno
import logging

import pytest

from ligo_cpc_snn.config.command_line import _reported
from ligo_cpc_snn.errors import in_one_line, text_of

FULL = OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_without_a_name_has_a_remedy(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    def write() -> int:
        raise FULL

    assert in_one_line(FULL) == 1
    assert "make room on the disk of the output folder" in capsys.readouterr().err
    with caplog.at_level(logging.ERROR):
        assert _reported(write, (OSError,)) == 1
    assert "make room on the disk of the output folder" in caplog.text


def test_other_errors_keep_their_text() -> None:
    named = OSError(errno.ENOSPC, "No space left on device, make room", "metrics.jsonl")
    for error in (named, OSError(errno.EIO, "Input/output error"), ValueError("a")):
        assert text_of(error) == str(error)
