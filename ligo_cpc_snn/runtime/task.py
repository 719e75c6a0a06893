"""What every entry point does around its work: log, environment before JAX, traceback."""

import logging
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from ligo_cpc_snn.confidential import hidden
from ligo_cpc_snn.config.runtime_schema import RuntimeConfig
from ligo_cpc_snn.runtime import environment, fallback, logs
from ligo_cpc_snn.stopping import INTERRUPTED, Insistence

log = logging.getLogger(__name__)

TRACEBACK = "traceback.txt"


def run_task(folder: Path, runtime: RuntimeConfig, work: Callable[[], int], *, stopped: str) -> int:
    """Prepare the environment and do the work, which imports JAX only then.

    A device that fails gives way to the CPU where `runtime.fallback` is set.

    Args:
        folder: of the log and, after an error, of traceback.txt; this process holds it.
        runtime: platform, fallback, memory and log level.
        work: returns the exit code.
        stopped: what is said after Ctrl-C.
    """
    logs.setup(folder, runtime.log_level)
    chosen: environment.EnvironmentReport | None = None
    try:
        chosen = environment.prepare(
            runtime.platform.value,
            runtime.memory_fraction,
            runtime.compilation_cache,
            runtime.fallback,
        )
        environment.verify_platform(chosen)
        log.info(chosen.line())
        with Insistence():
            code = work()
        if code == 0:
            with suppress(OSError):
                (folder / TRACEBACK).unlink()  # of an earlier attempt, now made good
        return code
    except KeyboardInterrupt:
        log.warning(stopped)
        return INTERRUPTED
    except Exception as error:
        # The terminal gets one line from `entry`: whoever wants more finds it here.
        with suppress(OSError):
            told = hidden(traceback.format_exc())
            (folder / TRACEBACK).write_text(told, encoding="utf-8")
        if runtime.fallback and chosen is not None:
            fallback.go_on_with_cpu(error, chosen)  # comes back if this is not for the CPU
        raise
