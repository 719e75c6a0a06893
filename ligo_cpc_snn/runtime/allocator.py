"""glibc's allocator, told to keep big blocks: fresh pages are the cost of a step on a CPU.

By default every block beyond 128 KiB is mapped afresh and given back, so each
temporary of a step is paid for page by page. The variables MALLOC_* do the same
but only before the process starts.
"""

import ctypes
import os
import platform
import sys

# Numbers from glibc's malloc.h, values in bytes.
_SETTINGS = {
    "mmap_threshold": (-3, 1 << 30),
    "trim_threshold": (-1, (1 << 31) - 1),
    "top_pad": (-2, 64 << 20),
}
# The same settings as variables, for a process that is yet to begin (scripts/launch.sh).
VARIABLES = {f"MALLOC_{name.upper()}_": str(size) for name, (_, size) in _SETTINGS.items()}


def keep_pages() -> str:
    """Raise glibc's thresholds for giving memory back, unless the user set MALLOC_*.

    Returns:
        What was done, for the log.
    """
    if not sys.platform.startswith("linux") or platform.libc_ver()[0] != "glibc":
        return "left as it is (not glibc)"
    own = sorted(name for name in os.environ if name.startswith("MALLOC_"))
    if own or "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", ""):
        return f"as the user set it ({', '.join(own) or 'GLIBC_TUNABLES'})"
    mallopt = ctypes.CDLL(None).mallopt
    done = [name for name, (number, size) in _SETTINGS.items() if mallopt(number, size)]
    return f"glibc keeps pages ({', '.join(done)})" if done else "left as it is (mallopt refused)"
