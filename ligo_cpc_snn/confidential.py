"""Keys and passwords: found in the environment and in addresses, refused and hidden.

What a program is told in confidence comes through environment variables, `~/.netrc` and the
addresses of proxies. None of it belongs into a config, a log, a report or a checkpoint.
"""

import os
import re
from collections.abc import Mapping

HIDDEN = "<hidden>"
SHORTEST = 8  # characters; a shorter value would be found in words that hide nothing
_VARIABLE = re.compile(r"(^|_)(KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS)$", re.I)
# User and password before the host of an address; `//user@` alone is none.
_ADDRESS = re.compile(r"(?<=://)[^\s/@:]*:[^\s/@]+(?=@)")
_WANDB_KEY = re.compile(r"\bwandb_v\d+_\w{20,}")  # of the kind that names itself


def known(environment: Mapping[str, str] | None = None) -> list[str]:
    """Return the values of all environment variables that are called a key or the like."""
    variables = os.environ if environment is None else environment
    found = {v for name, v in variables.items() if _VARIABLE.search(name) and len(v) >= SHORTEST}
    return sorted(found, key=len, reverse=True)  # a longer one may hold a shorter one


def hidden(text: str) -> str:
    """Return a text without keys and passwords."""
    for value in known():
        text = text.replace(value, HIDDEN)
    return _WANDB_KEY.sub(HIDDEN, _ADDRESS.sub(HIDDEN, text))
