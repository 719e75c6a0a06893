"""What a file that cannot be used ends in, whatever its bytes are."""

from pathlib import Path

from ligo_cpc_snn.errors import UserError

LONGEST = 400  # characters of a reason; a file's own names may be as long as the file

# What h5py, numpy and their like make of damaged bytes.
DAMAGED = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


class FileContentError(UserError, ValueError):
    """A file's content cannot be used; names the file and the reason, in one line."""

    def __init__(self, path: str | Path, reason: str) -> None:
        self.path, self.reason = Path(path), one_line(reason)
        super().__init__(f"{path}: {self.reason}")


def one_line(text: str) -> str:
    """Return a text as one line that can be printed: what a terminal would obey is replaced."""
    words = " ".join(text.split())
    shown = "".join(letter if letter.isprintable() else "?" for letter in words[: LONGEST + 1])
    return shown if len(shown) <= LONGEST else f"{shown[:LONGEST]}..."


def reason(error: BaseException) -> str:
    """Return what an error says, or its kind where it says nothing."""
    return str(error) or type(error).__name__
