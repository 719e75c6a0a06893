"""What happens when a device fails in the middle of the work: the CPU goes on, if it may.

JAX cannot change its platforms once it has begun, and a plug-in that failed may hold on to
anything. So the same command is started again in this process's place, on the CPU: a search
continues with the first stretch that is not done, a training at its last checkpoint.
"""

import logging
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NoReturn

from ligo_cpc_snn.runtime.choice import FALLBACK_REASON
from ligo_cpc_snn.runtime.environment import EnvironmentReport
from ligo_cpc_snn.runtime.platforms import DeviceUnavailableError

log = logging.getLogger(__name__)

_LONGEST = 300  # characters of a reason: XLA's out-of-memory reports fill pages


def device_failure(error: BaseException) -> str:
    """Return in one line what a device or its plug-in reported, or nothing if none did."""
    from jax.errors import JaxRuntimeError

    from ligo_cpc_snn.memory import OutOfMemoryError

    for one in _chain(error):
        # A device too small for the least that a run needs, by the compiler's own count.
        if isinstance(one, OutOfMemoryError):
            return _short(" ".join(str(one).split()))
        text = " ".join(str(one).split())
        # The second: an operation that the plug-in's compiler does not have.
        missing = isinstance(one, NotImplementedError) and "for platform" in text
        if missing or isinstance(one, (JaxRuntimeError, DeviceUnavailableError)):
            return _short(text)
    return ""


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those that it came from."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)


def go_on_with_cpu(error: BaseException, chosen: EnvironmentReport) -> None:
    """Start the command again on the CPU; return if the error or the process is not for that.

    Args:
        error: that ended the work.
        chosen: the environment that it ran in.
    """
    reason = device_failure(error)
    if not reason or chosen.platform == "cpu":
        return
    obstacle = _obstacle(chosen.inherited)
    if obstacle:
        log.warning("no fallback to the CPU: %s", obstacle)
        return
    log.warning(
        "%s failed: %s; starting again on the CPU, as runtime.fallback=true says",
        chosen.platform,
        reason,
    )
    _restart(chosen.inherited, f"{chosen.platform} failed: {reason}")


def _obstacle(inherited: Mapping[str, str]) -> str:
    """Say why the command cannot be started again, or nothing."""
    import jax

    allowed = [name.strip().lower() for name in inherited.get("JAX_PLATFORMS", "cpu").split(",")]
    if "cpu" not in allowed:
        return f"JAX_PLATFORMS={inherited['JAX_PLATFORMS']} leaves it out"
    if jax.distributed.is_initialized():
        return "other processes take part in this run, start all of them with LIGO_PLATFORM=cpu"
    if not _is_command():
        return "this is no command of ligo_cpc_snn, set LIGO_PLATFORM=cpu before it starts"
    return ""


def _is_command() -> bool:
    """Whether this process is one of our commands, not a notebook, a test or a worker."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    if spec is not None and spec.name:
        return str(spec.name).startswith("ligo_cpc_snn.")
    return Path(sys.argv[0]).name.startswith("ligo-")


def _restart(inherited: Mapping[str, str], reason: str) -> NoReturn:
    """Replace this process; its locks and its device's memory go with it."""
    variables = {**inherited, "LIGO_PLATFORM": "cpu", FALLBACK_REASON: reason}
    if "JAX_PLATFORMS" in inherited:
        variables["JAX_PLATFORMS"] = "cpu"
    logging.shutdown()
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], variables)
