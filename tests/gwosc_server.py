"""A server on this machine that answers as gwosc.org does, and misbehaves on demand.

The shapes are those recorded in shared/data/api; the real client talks to it unchanged.
"""

import hashlib
import json
import re
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

NAME = re.compile(r"(?P<site>[A-Z])-(?P<detector>[A-Z]\d)_.*-(?P<gps>\d+)-(?P<seconds>\d+)\.hdf5")
RUNS = {"O1": (1126051217, 1137254417), "O2": (1164556817, 1187733618)}


@dataclass
class Fault:
    """What goes wrong with requests of a file (`times` of them; None: with all).

    `status` and `headers` answer instead of the file; `drop` closes the connection after so many
    bytes; `stall` sends nothing more after so many; `length` is a wrong Content-Length; `shift`
    moves the bytes of a continuation.
    """

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    drop: int | None = None
    stall: int | None = None
    length: int | None = None
    shift: int = 0
    times: int | None = None


class GwoscServer(ThreadingHTTPServer):
    """Serves `events` (name to GPS time) and the strain files in `folder`.

    Args:
        folder: Files under GWOSC's names.
        events: Events and their GPS times in s.

    `bodies` replaces a file's bytes, `kinds` its Content-Type, `names` its name in addresses,
    `faults` (by file name or API path) is what goes wrong; `requests` and `ranges` keep what was
    asked. Without `ranges_served` the Range header is ignored, without `etags` there is no ETag.
    """

    def __init__(self, folder: Path, events: dict[str, float]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder, self.events = folder, events
        self.bodies: dict[str, bytes] = {}
        self.kinds: dict[str, str] = {}
        self.names: dict[str, str] = {}
        self.faults: dict[str, list[Fault]] = defaultdict(list)
        self.requests: list[str] = []
        self.ranges: list[str | None] = []
        self.ranges_served = self.etags = True
        self.released = threading.Event()
        self.hold: threading.Event | None = None  # files wait for it
        self.held_in_vain = False
        self.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def fetched(self) -> list[str]:
        """Names of the files asked for, in order."""
        return [path.removeprefix("/data/") for path in self.requests if path.startswith("/data/")]

    def handle_error(self, *_: object) -> None:
        """Clients that hang up are part of the tests."""

    def next_fault(self, name: str) -> Fault:
        for fault in self.faults[name]:
            if fault.times is None:
                return fault
            if fault.times > 0:
                fault.times -= 1
                return fault
        return Fault()

    def files(self, detector: str | None) -> list[dict[str, object]]:
        """Describe the folder's strain files, in order of name."""
        found = [(path, NAME.fullmatch(path.name)) for path in sorted(self.folder.iterdir())]
        return [
            {
                "gps_start": int(match["gps"]),
                "duration": int(match["seconds"]),
                "detector": match["detector"],
                "sample_rate_kHz": 4,
                "url": f"{self.url}/data/{self.names.get(path.name, path.name)}?format=api",
            }
            for path, match in found
            if match and detector in (None, match["detector"])
        ]


class Handler(BaseHTTPRequestHandler):
    server: GwoscServer

    def log_message(self, *_: object) -> None:
        """Keep the test's output quiet."""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        self.server.requests.append(parts.path)
        fault = self.server.next_fault(parts.path.removeprefix("/data/"))
        if fault.status is not None:
            self._status(fault)
        elif parts.path.startswith("/data/"):
            self._data(parts.path.removeprefix("/data/"), fault)
        elif parts.path in self.server.bodies:
            self._bytes(self.server.bodies[parts.path], "text/html")
        elif match := re.fullmatch(
            r"/api/v2/event-versions(?:/([^/]+)(/strain-files)?)?", parts.path
        ):
            self._events(match[1], match[2] is not None, query)
        elif parts.path == "/api/v2/runs":
            rows = [
                {"name": name, "gps_start": start, "gps_end": end, "detectors": ["H1", "L1"]}
                for name, (start, end) in RUNS.items()
            ]
            self._page(rows, query)
        elif match := re.fullmatch(r"/api/v2/runs/(\w+)/strain-files", parts.path):
            self._run_files(match[1], query)
        else:
            self.send_error(404)

    def _run_files(self, run: str, query: dict[str, str]) -> None:
        start, stop = int(query["start"]), int(query["stop"])
        rows = [
            {"hdf5_url": f.pop("url")} | f
            for f in self.server.files(query["detector"])
            if f["gps_start"] < stop and f["gps_start"] + f["duration"] > start
            if RUNS[run][0] <= f["gps_start"] < RUNS[run][1]
        ]
        self._page(rows, query)

    def _events(self, name: str | None, files: bool, query: dict[str, str]) -> None:
        events = self.server.events
        if name is None:
            rows = [
                {"name": n, "shortName": f"{n}-v{v}", "gps": gps + (v == 1), "version": v}
                | {"catalog": "GWTC-1-confident", "detectors": ["H1", "L1"]}
                for n, gps in events.items()
                for v in (2, 1)
            ]
            self._page(rows, query)
        elif (event := re.sub(r"-v\d+$", "", name)) not in events:
            self.send_error(404)
        elif files:
            near = [
                {"download_url": f.pop("url"), "file_format": "HDF"} | f
                for f in self.server.files(query.get("detector"))
                if f["gps_start"] <= events[event] <= f["gps_start"] + f["duration"]
            ]
            self._page(near, query)
        else:
            gps = events[event]
            run = next(name for name, (start, end) in RUNS.items() if start <= gps < end)
            self._json({"name": event, "gps": gps, "version": 1, "run": run})

    def _page(self, rows: list[dict[str, object]], query: dict[str, str]) -> None:
        """Answer one page of two rows, so that the client has to turn pages."""
        page, last = int(query.get("page", 1)), max(1, -(-len(rows) // 2))
        rest = "&".join(f"{key}={value}" for key, value in query.items() if key != "page")
        path = urlsplit(self.path).path
        following = f"{self.server.url}{path}?{rest}&page={page + 1}" if page < last else None
        body = {"next": following, "previous": None, "results_count": len(rows)}
        body |= {"results_per_page": 2, "num_pages": last, "page_number": page}
        self._json(body | {"results": rows[2 * page - 2 : 2 * page]})

    def _data(self, name: str, fault: Fault) -> None:
        path = self.server.folder / Path(name).name
        if name not in self.server.bodies and not path.is_file():
            self.send_error(404)
            return
        if self.server.hold is not None and not self.server.hold.wait(5):
            self.server.held_in_vain = True
        body = self.server.bodies.get(name) or path.read_bytes()
        first = self._first(body)
        first += fault.shift if first else 0
        self.send_response(206 if first else 200)
        kind = self.server.kinds.get(name, "application/x-hdf5")
        headers = {"Content-Type": kind, "Content-Length": fault.length or len(body) - first}
        if first:
            headers["Content-Range"] = f"bytes {first}-{len(body) - 1}/{len(body)}"
        if self.server.etags:
            headers["ETag"] = _etag(body)
        self._headers(headers)
        self._send(body[first:], fault)

    def _first(self, body: bytes) -> int:
        """Return the first byte to send, by Range and If-Range."""
        asked = self.headers.get("Range")
        self.server.ranges.append(asked)
        same = self.headers.get("If-Range", _etag(body)) == _etag(body)
        if asked is None or not self.server.ranges_served or not same:
            return 0
        return int(asked.removeprefix("bytes=").removesuffix("-"))

    def _send(self, body: bytes, fault: Fault) -> None:
        """Send a body as far as the fault lets it come."""
        end = next((n for n in (fault.drop, fault.stall, fault.length) if n is not None), None)
        self.wfile.write(body[:end])
        self.wfile.flush()
        if fault.stall is not None:
            self.server.released.wait(30)
        self.close_connection = True

    def _status(self, fault: Fault) -> None:
        self.send_response(fault.status or 500)
        self._headers({"Content-Length": 0, **fault.headers})

    def _json(self, body: dict[str, object]) -> None:
        self._bytes(json.dumps(body).encode(), "application/json")

    def _bytes(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self._headers({"Content-Type": kind, "Content-Length": len(body)})
        self.wfile.write(body)

    def _headers(self, headers: dict[str, object]) -> None:
        for name, value in headers.items():
            self.send_header(name, str(value))
        self.end_headers()


def _etag(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:16]}"'


@contextmanager
def serving(folder: Path, events: dict[str, float]) -> Iterator[GwoscServer]:
    """Serve a folder from a thread of this process."""
    served = GwoscServer(folder, events)
    thread = threading.Thread(target=served.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield served
    finally:
        served.released.set()
        served.shutdown()
        served.server_close()
        thread.join()
