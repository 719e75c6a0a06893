"""Events and observing runs as GWOSC lists them, kept for later and for offline work."""

import hashlib
import json
import logging
import time
from pathlib import Path
from typing import Any

from filelock import FileLock

from ligo_cpc_snn.reading.text import parse_json
from ligo_cpc_snn.strain.client import Client, Run
from ligo_cpc_snn.strain.errors import GwoscError
from ligo_cpc_snn.strain.replacing import write_whole

log = logging.getLogger(__name__)

DAY = 86400.0  # s
FRESH_SECONDS = 7 * DAY  # an older list is asked for again, unless offline


class Catalogue:
    """Lists of events and runs in one file: each with its date, all with their hash.

    Args:
        folder: Where `catalogue.json` lies.
        client: Asks the server; None: offline, only what was kept is known.
    """

    def __init__(self, folder: Path, client: Client | None) -> None:
        self.path, self.client = folder / "catalogue.json", client

    def events(self) -> dict[str, float]:
        """Return name and GPS time in s of all events.

        Raises:
            GwoscError: Neither the server nor this machine has the list.
        """
        return dict(self._list("events", "the list of events"))

    def runs(self) -> dict[str, Run]:
        """Return the observing runs by name.

        Raises:
            GwoscError: Neither the server nor this machine has the list.
        """
        found = self._list("runs", "the list of observing runs")
        return {name: Run(*run) for name, run in found.items()}

    def event_gps(self, event: str) -> float:
        """Return the GPS time of an event in s; what was asked once is known for ever.

        Raises:
            GwoscError: The event is not known, or not here and we are offline.
        """
        kept = self._read()
        asked = kept.get("asked", {"values": {}})["values"]
        if event in asked:
            return float(asked[event])
        if self.client is None:
            known = kept.get("events", {"values": {}})["values"]
            if event in known:
                return float(known[event])
            raise GwoscError(
                f"data.gwosc.offline=true, and the time of event {event} is not in {self.path}: "
                "fetch it once while online"
            )
        gps = self.client.event_gps(event)
        self._keep("asked", {event: gps}, add=True)
        return gps

    def _list(self, kind: str, what: str) -> dict[str, Any]:
        kept = self._read().get(kind)
        age = float("inf") if kept is None else time.time() - kept["asked"]
        if kept is not None and (self.client is None or age < FRESH_SECONDS):
            log.log(
                logging.INFO if age > DAY else logging.DEBUG,
                "%s: as GWOSC gave it %.1f days ago",
                what,
                age / DAY,
            )
            return dict(kept["values"])
        if self.client is None:
            raise GwoscError(
                f"data.gwosc.offline=true, and {what} is not in {self.path}: run once while online"
                " (python -m ligo_cpc_snn.strain fetch ... keeps it)"
            )
        try:
            values: dict[str, Any] = getattr(self.client, kind)()
        except GwoscError as error:
            if kept is None:
                raise
            log.warning("%s; %s of %.0f days ago is used", error, what, age / DAY)
            return dict(kept["values"])
        self._keep(kind, values)
        return values

    def _read(self) -> dict[str, Any]:
        """Return what is kept; a file that is not as it was written counts as none."""
        try:
            kept = parse_json(self.path.read_bytes())
            if _digest(kept["lists"]) == kept["sha256"]:
                return {kind: _list_of(kind, found) for kind, found in kept["lists"].items()}
        except FileNotFoundError:
            return {}
        except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError):
            pass
        log.warning("%s: not as it was written, asked for again", self.path)
        return {}

    def _keep(self, kind: str, values: dict[str, Any], add: bool = False) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self.path.with_suffix(".lock")):
            lists = self._read()
            if add and kind in lists:
                values = lists[kind]["values"] | values
            lists[kind] = {"asked": time.time(), "values": values}
            body = json.dumps({"sha256": _digest(lists), "lists": lists}, indent=1)
            write_whole(self.path, body.encode())


def _list_of(kind: str, kept: dict[str, Any]) -> dict[str, Any]:
    """Return a list of the file, its values of the types that `_keep` wrote."""
    values: dict[str, Any] = kept["values"]
    if kind == "runs":
        values = {name: [int(a), int(b), list(d)] for name, (a, b, d) in values.items()}
    else:
        values = {name: float(gps) for name, gps in values.items()}
    return {"asked": float(kept["asked"]), "values": values}


def _digest(lists: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(lists, sort_keys=True).encode()).hexdigest()
