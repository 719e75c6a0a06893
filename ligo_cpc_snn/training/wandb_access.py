"""Whether W&B can be used online: a key, and a server that answers soon."""

import netrc
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from ligo_cpc_snn.config.schema import WandbMode

ANSWER_SECONDS = 4.0
EARLIER_HOST = "api.wandb.ai"  # keys stored for it are still taken for the default server


@dataclass(frozen=True)
class Access:
    """The mode to use and, if it is not the one asked for, why."""

    mode: str  # "online", "offline" or "disabled"
    reason: str


def choose_access(mode: WandbMode) -> Access:
    """Decide between online and offline without prompting, raising or waiting long.

    `WANDB_MODE`, if set by the user, decides where the configuration says `auto`.
    """
    variable = os.environ.get("WANDB_MODE")
    if mode is WandbMode.auto and variable in {"online", "offline", "disabled"}:
        return Access(variable, f"WANDB_MODE={variable}")
    if mode not in (WandbMode.auto, WandbMode.online):
        return Access(mode.value, f"trackers.wandb.mode={mode.value}")
    server = _server()
    if not _has_key(server):
        return Access("offline", "no API key: set WANDB_API_KEY or run `wandb login`")
    fault = _fault(server)
    return Access("offline" if fault else "online", fault or f"{server} answers")


def import_wandb() -> Any:
    """Import `wandb`, which takes a second, without its reports about itself.

    Those go to its maker's servers, offline too, and cost seconds where there is no network;
    `WANDB_ERROR_REPORTING` set by the user still decides.
    """
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    import wandb

    return wandb


def _server() -> str:
    # W&B knows its default server, which has moved before, and the user's settings.
    return str(import_wandb().setup().settings.base_url)


def _has_key(server: str) -> bool:
    if os.environ.get("WANDB_API_KEY"):
        return True
    named = os.environ.get("NETRC")
    files = [Path(named)] if named else [Path.home() / ".netrc", Path.home() / "_netrc"]
    hosts = {urlsplit(server).hostname or server, EARLIER_HOST}
    return any(_netrc_has(file, hosts) for file in files)


def _netrc_has(file: Path, hosts: set[str]) -> bool:
    try:
        return not hosts.isdisjoint(netrc.netrc(file).hosts)
    except (OSError, netrc.NetrcParseError):
        return False


def _fault(server: str) -> str:
    """Return why the server cannot be used, or nothing.

    Asked in a thread, because looking up a name has no time limit of its own.
    """
    faults = [f"{server} did not answer within {ANSWER_SECONDS:g} s"]

    def ask() -> None:
        try:
            requests.get(server, timeout=ANSWER_SECONDS)
        except requests.RequestException as error:
            faults.append(f"{server} cannot be reached ({type(error).__name__})")
        else:
            faults.append("")

    thread = threading.Thread(target=ask, name="wandb-reachable", daemon=True)
    thread.start()
    thread.join(ANSWER_SECONDS)
    return faults[-1]
