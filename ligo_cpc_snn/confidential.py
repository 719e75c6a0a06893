"""Keys and passwords: found by where they are kept and by their form, refused and hidden.

What a program is told in confidence comes through environment variables, `~/.netrc` and the
addresses of proxies. None of it belongs into a config, a log, a report or a checkpoint.
"""

import logging
import os
import re
from collections.abc import Mapping
from functools import lru_cache
from netrc import NetrcParseError, netrc

HIDDEN = "<hidden>"
SHORTEST = 8  # characters; a shorter value would be found in words that hide nothing
_VARIABLE = re.compile(
    r"(^|_)(KEY|TOKEN|SECRET|PASS|PASSWORD|PASSWD|PASSPHRASE|PAT|CREDENTIALS)$", re.I
)
# Before the host of an address: user and password; a user alone if so long that it is a token.
_ADDRESS = re.compile(r"(?<=://)(?:[^\s/@:]*:[^\s/@]+|[^\s/@:]{20,}:?)(?=@)")
_QUERY = re.compile(r"([?&][\w-]*(?:key|token|secret|password|signature)=)[^\s&#]+", re.I)
# Of the kinds that name themselves: of W&B, GitHub, Hugging Face, Amazon, and `sk-`.
_TOKEN = re.compile(
    r"\bwandb_v\d+_\w{20,}"
    r"|(?<![A-Za-z0-9])(?:local-[0-9a-f]{40}(?![A-Za-z0-9])"
    r"|gh[oprsu]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|hf_[A-Za-z0-9]{20,}"
    r"|AKIA[0-9A-Z]{16}(?![A-Za-z0-9])|sk-(?=[\w-]*\d)[\w-]{20,})"
)
# An older key of W&B. A git commit looks the same: logs may name one, a setting none but in the
# paths of Hugging Face's files.
_HEX = re.compile(r"(?<![A-Za-z0-9])(?<!snapshots/)[0-9a-f]{40}(?![A-Za-z0-9])")
_told: set[str] = set()  # files whose damage was logged


def known(environment: Mapping[str, str] | None = None) -> list[str]:
    """Return all values of environment variables called a key or the like, and of `~/.netrc`."""
    variables = os.environ if environment is None else environment
    found = {v for name, v in variables.items() if _VARIABLE.search(name)}
    found |= _passwords(variables.get("NETRC") or os.path.expanduser("~/.netrc"))
    # A longer one may hold a shorter one.
    return sorted((v for v in found if len(v) >= SHORTEST), key=len, reverse=True)


def hidden(text: str) -> str:
    """Return a text without keys and passwords."""
    for value in known():
        text = text.replace(value, HIDDEN)
    text = _QUERY.sub(rf"\1{HIDDEN}", _ADDRESS.sub(HIDDEN, text))
    return _TOKEN.sub(HIDDEN, text)


def confided(setting: str) -> bool:
    """Return whether a setting's text holds a key or a password, or what looks like one."""
    return hidden(setting) != setting or _HEX.search(setting) is not None


def _passwords(file: str) -> frozenset[str]:
    """Return the passwords of a file as `~/.netrc`, which is read again once it has changed."""
    try:
        about = os.stat(file)
    except (OSError, ValueError):
        return frozenset()  # most users have none
    return _read(file, about.st_mtime_ns, about.st_size)


@lru_cache(maxsize=4)
def _read(file: str, _changed_ns: int, _size: int) -> frozenset[str]:
    try:
        hosts = netrc(file).hosts.values()
    except (OSError, NetrcParseError, UnicodeDecodeError) as error:
        if file not in _told:
            _told.add(file)  # first, for the log asks here what to hide
            kind = type(error).__name__  # its text may hold a password
            logging.getLogger(__name__).debug("%s is not read for passwords: %s", file, kind)
        return frozenset()
    return frozenset(password for _, _, password in hosts if password)
