"""A server on this machine that answers as gwosc.org does, with the files of a folder.

The shapes are those recorded in shared/data/api; the real client talks to it unchanged.
"""

import json
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

NAME = re.compile(r"(?P<site>[A-Z])-(?P<detector>[A-Z]\d)_.*-(?P<gps>\d+)-(?P<seconds>\d+)\.hdf5")


class GwoscServer(ThreadingHTTPServer):
    """Serves `events` (name to GPS time) and the strain files in `folder`.

    `bodies` replaces a file's bytes, `names` its name in addresses; `requests` counts paths.
    """

    def __init__(self, folder: Path, events: dict[str, float]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder, self.events = folder, events
        self.bodies: dict[str, bytes] = {}
        self.names: dict[str, str] = {}
        self.requests: list[str] = []
        self.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

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
        if parts.path.startswith("/data/"):
            self._data(parts.path.removeprefix("/data/"))
        elif match := re.fullmatch(
            r"/api/v2/event-versions(?:/([^/]+)(/strain-files)?)?", parts.path
        ):
            self._events(match[1], match[2] is not None, query)
        elif parts.path == "/api/v2/runs":
            run = {"name": "O1", "gps_start": 1126051217, "gps_end": 1137254417}
            self._page([run | {"detectors": ["H1", "L1"]}], query)
        elif parts.path == "/api/v2/runs/O1/strain-files":
            start, stop = int(query["start"]), int(query["stop"])
            self._page(
                [
                    {"hdf5_url": f.pop("url")} | f
                    for f in self.server.files(query["detector"])
                    if f["gps_start"] < stop and f["gps_start"] + f["duration"] > start
                ],
                query,
            )
        else:
            self.send_error(404)

    def _events(self, name: str | None, files: bool, query: dict[str, str]) -> None:
        events = self.server.events
        if name is None:
            rows = [
                {"name": n, "shortName": f"{n}-v{v}", "gps": gps + (v == 1), "version": v}
                | {"catalog": "GWTC-1-confident", "detectors": ["H1", "L1"]}
                for n, gps in events.items()
                for v in (2, 1)
                if float(query.get("min-gps-time", 0)) <= gps
                and gps <= float(query.get("max-gps-time", 9e9))
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
            self._json({"name": event, "gps": events[event], "version": 1, "run": "O1"})

    def _page(self, rows: list[dict[str, object]], query: dict[str, str]) -> None:
        """Answer one page of two rows, so that the client has to turn pages."""
        page, last = int(query.get("page", 1)), max(1, -(-len(rows) // 2))
        rest = "&".join(f"{key}={value}" for key, value in query.items() if key != "page")
        path = urlsplit(self.path).path
        following = f"{self.server.url}{path}?{rest}&page={page + 1}" if page < last else None
        body = {"next": following, "previous": None, "results_count": len(rows)}
        body |= {"results_per_page": 2, "num_pages": last, "page_number": page}
        self._json(body | {"results": rows[2 * page - 2 : 2 * page]})

    def _data(self, name: str) -> None:
        path = self.server.folder / Path(name).name
        if name not in self.server.bodies and not path.is_file():
            self.send_error(404)
            return
        self._bytes(self.server.bodies.get(name) or path.read_bytes(), "application/x-hdf5")

    def _json(self, body: dict[str, object]) -> None:
        self._bytes(json.dumps(body).encode(), "application/json")

    def _bytes(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
