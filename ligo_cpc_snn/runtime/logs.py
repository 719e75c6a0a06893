"""The log of a run: one file with levels beside lines on the terminal."""

import logging
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


def setup(run_dir: str | Path, level: str = "INFO") -> Path:
    """Send log records to the terminal and to a file in the run folder.

    Args:
        run_dir: folder of the run; it exists.
        level: lowest level shown on the terminal and written, such as ``INFO``.

    Returns:
        The log file; a continued run appends to it.
    """
    file = Path(run_dir) / LOG_FILE
    written = logging.FileHandler(file, encoding="utf-8")
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


def close() -> None:
    """Detach and close what `setup` attached."""
    root = logging.getLogger()
    for handler in list(root.handlers):
        if getattr(handler, _MARK, False):
            root.removeHandler(handler)
            handler.close()
    logging.captureWarnings(False)
