"""The log of a run: one file with levels beside lines on the terminal."""

import logging
import os
import sys
from contextlib import suppress
from pathlib import Path

from rich.console import Console
from rich.logging import RichHandler

from ligo_cpc_snn.confidential import hidden

LOG_FILE = "run.log"
# Others' progress reports: their warnings are kept, the rest drowns ours. Not astropy's: its
# logger must be of its own class, and asking for it before astropy is imported prevents that.
_CHATTER = (
    "absl",
    "asyncio",
    "filelock",
    "flax",
    "fsspec",
    "git",
    "gwpy",
    "h5py",
    "hydra",
    "jax",
    "jaxlib",
    "matplotlib",
    "orbax",
    "PIL",
    "requests",
    "urllib3",
    "wandb",
)
# Marks our handlers, so that a second run of the process replaces only them.
_MARK = "_ligo_cpc_snn"


log = logging.getLogger(__name__)


class _LogFile(logging.FileHandler):
    """A log file whose disk may be full: that is said once, and lines go on when there is room."""

    _told = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging's name)
        """Say once that the file cannot be written; other errors are shown as logging does."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self._told:
            self._told = True
            log.warning("%s cannot be written and will miss lines: %s", self.baseFilename, error)

    def close(self) -> None:
        """Close the file; what it could not write was told before."""
        with suppress(OSError):
            super().close()


def setup(run_dir: str | Path, level: str = "INFO") -> Path:
    """Send log records to the terminal and to a file in the run folder.

    Args:
        run_dir: folder of the run; it exists.
        level: lowest level shown on the terminal and written, such as ``INFO``.

    Returns:
        The log file; a continued run appends to it.
    """
    file = Path(run_dir) / LOG_FILE
    written = _LogFile(file, encoding="utf-8")
    written.setFormatter(
        logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%Y-%m-%d %H:%M:%S")
    )
    shown = _terminal_handler()
    close()
    root = logging.getLogger()
    root.setLevel(level)
    # absl adds a plain one where orbax is imported before this: each line would come twice.
    for plain in [one for one in root.handlers if type(one) is logging.StreamHandler]:
        root.removeHandler(plain)
    for handler in (written, shown):
        setattr(handler, _MARK, True)
        handler.addFilter(_without_secrets)
        root.addHandler(handler)
    shown.addFilter(_without_traceback_of_others)  # of the two the last: the file has them
    for name in _CHATTER:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    logging.captureWarnings(True)
    return file


def _without_secrets(record: logging.LogRecord) -> bool:
    """Take keys and passwords out of a record, its traceback included; it is passed on."""
    record.msg, record.args = hidden(record.getMessage()), None
    if record.exc_info and not record.exc_text:  # a formatter takes the text where there is one
        record.exc_text = logging.Formatter().formatException(record.exc_info)
    if record.exc_text:
        record.exc_text = hidden(record.exc_text)
    return True


def _without_traceback_of_others(record: logging.LogRecord) -> bool:
    """Leave the line of a library's error, which is raised for us too where it matters."""
    others = record.name.partition(".")[0] in _CHATTER
    if others and not os.environ.get("LIGO_TRACEBACK"):
        record.exc_info, record.exc_text = None, None
    return True


def _terminal_handler() -> logging.Handler:
    """Return a handler for standard error; standard output stays parseable.

    A batch system's file gets plain lines: rich would break them at 80 columns.
    """
    console = Console(stderr=True)
    if console.is_terminal:
        return RichHandler(console=console, show_path=False, log_time_format="%H:%M:%S")
    plain = logging.StreamHandler()
    plain.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S"))
    return plain


def line_width() -> int:
    """Return how many characters of a log line fit beside time and level on the terminal."""
    console = Console(stderr=True)
    return max(console.width - 21, 50) if console.is_terminal else 1000


def close() -> None:
    """Detach and close what `setup` attached."""
    root = logging.getLogger()
    for handler in list(root.handlers):
        if getattr(handler, _MARK, False):
            root.removeHandler(handler)
            handler.close()
    logging.captureWarnings(False)
