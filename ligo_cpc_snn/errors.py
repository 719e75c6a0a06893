"""The errors that entry points print as one line."""

import errno
import os
import sys

from ligo_cpc_snn.confidential import hidden


class UserError(Exception):
    """Something the user can mend: its message names it, its value and the remedy."""


# What bad input or a bad machine ends in: one line without a traceback.
EXPECTED = (UserError, OSError, ValueError, ArithmeticError)
FULL = (errno.ENOSPC, errno.EDQUOT)


def in_one_line(error: Exception, message: str | None = None) -> int:
    """Print an error as one line, keys and passwords hidden; returns the exit code, 1.

    Args:
        error: one that is expected.
        message: what is printed; None: the error's own text.

    Raises:
        Exception: the error itself where LIGO_TRACEBACK is set, to show where it came from.
    """
    if os.environ.get("LIGO_TRACEBACK"):
        raise error
    print(f"error: {hidden(message or text_of(error))}", file=sys.stderr)
    return 1


def text_of(error: Exception) -> str:
    """Return an error's text; a full disk's, which names no file, with where to make room."""
    if isinstance(error, OSError) and error.filename is None and error.errno in FULL:
        return f"{error}: make room on the disk of the output folder, and give the command again"
    return str(error)
