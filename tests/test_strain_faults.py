"""What a server can do wrong: what the user sees, and that nothing broken enters the cache."""

import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pytest
from gwosc.api import v2
from gwosc_files import RATE, file_name, write_file
from gwosc_server import Fault, GwoscServer, serving

from ligo_cpc_snn.config.data_schema import GwoscConfig
from ligo_cpc_snn.strain import download
from ligo_cpc_snn.strain.errors import GwoscError
from ligo_cpc_snn.strain.gwosc import fetch_strain
from ligo_cpc_snn.strain.pieces import is_sound
from ligo_cpc_snn.strain.room import all_pieces
from ligo_cpc_snn.strain.segments import StrainSegment

START = 1130000000
NAME = file_name("H1", START, 16)
RUN_FILES = "/api/v2/runs/O1/strain-files"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GwoscServer]:
    (tmp_path / "archive").mkdir()
    write_file(tmp_path / "archive", "H1", START)
    with serving(tmp_path / "archive", {}) as served:
        yield served


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "FIRST_WAIT_SECONDS", 0.01)
    monkeypatch.setattr(download, "STALL_SECONDS", 0.3)
    monkeypatch.setattr(v2, "RETRY_DEFAULT_WAIT_TIME", 0)
    monkeypatch.setattr(v2, "JSON_CACHE", {})


def config(server: GwoscServer, **changes: object) -> GwoscConfig:
    values = {"host": server.url, "start": START, "end": START + 16, "retries": 2}
    return GwoscConfig(**(values | changes))


def fetch(server: GwoscServer, tmp_path: Path, **changes: object) -> list[StrainSegment]:
    return fetch_strain(config(server, **changes), ["H1"], tmp_path / "cache")


def leftovers(tmp_path: Path) -> list[str]:
    """Return the names of all files in the cache but locks and the catalogue."""
    files = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    return sorted(p.name for p in files if p.suffix != ".lock" and p.name != "catalogue.json")


def rewritten(server: GwoscServer, **changes: object) -> None:
    """Let the server send a file with other content under the usual name."""
    values: dict[str, object] = {"detector": "H1", "start": START, "name": NAME}
    write_file(server.folder, **(values | changes))


def redirected(server: GwoscServer) -> None:
    headers = {"Location": f"http://example.org/data/{NAME}"}
    server.faults[NAME] = [Fault(status=302, headers=headers)]


def as_html(server: GwoscServer) -> None:
    server.bodies[NAME] = b"<html>please log in</html>"
    server.kinds[NAME] = "text/html"


def without_meta(server: GwoscServer) -> None:
    with h5py.File(server.folder / NAME, "a") as file:
        del file["quality"]


def damaged_inside(server: GwoscServer) -> None:
    body = bytearray((server.folder / NAME).read_bytes())
    body[len(body) // 2 : len(body) // 2 + 5000] = bytes(5000)
    server.bodies[NAME] = bytes(body)


@dataclass
class Lasting:
    """A fault that stays: what is done to the server, and what the user sees."""

    make: Callable[[GwoscServer], object]
    message: str
    asked: int  # how often the file was asked for
    kept: bool = False  # an unfinished download remains


def always(**fault: object) -> Callable[[GwoscServer], object]:
    return lambda server: server.faults[NAME].append(Fault(**fault))


LASTING = {
    "dropped": Lasting(always(drop=50_000), r"connection broke after 0\.15 MB, given up", 3, True),
    "429": Lasting(always(status=429), "answered 429 Too Many Requests, given up after 3", 3),
    "429 for an hour": Lasting(
        always(status=429, headers={"Retry-After": "3600"}), "asks to come back in 3600 s", 1
    ),
    "500": Lasting(always(status=500), "answered 500 Internal Server Error, given up", 3),
    "404": Lasting(always(status=404), "answered 404 Not Found, though it lists the file", 1),
    "stalled": Lasting(always(stall=30_000), r"no data for 0\.3 s, given up after 3", 3, True),
    "short Content-Length": Lasting(
        always(length=100_000), r"what the server sent is truncated or damaged", 2
    ),
    "long Content-Length": Lasting(
        lambda s: always(length=(s.folder / NAME).stat().st_size + 9000)(s),
        r"connection broke after 0\.51 MB, given up",
        3,
        True,
    ),
    "HTML": Lasting(as_html, r"is not HDF5 but text/html: '<html>please log in</html>'", 2),
    "path traversal": Lasting(
        lambda s: s.names.update({NAME: "../../../../etc/passwd"}), "not the address of a GWOSC", 0
    ),
    "encoded path traversal": Lasting(
        lambda s: s.names.update({NAME: f"..%2f..%2f{NAME}"}), "not the address of a GWOSC", 0
    ),
    "redirect to http": Lasting(redirected, r"sent us to http://example\.org.*not https", 1),
    "wrong detector": Lasting(
        lambda s: rewritten(s, detector="L1"), "something else: detector 'L1' instead of 'H1'", 2
    ),
    "wrong GPS": Lasting(
        lambda s: rewritten(s, start=START + 4096), f"GPS start {START + 4096} instead of", 2
    ),
    "wrong length inside": Lasting(
        lambda s: rewritten(s, strain=np.ones(100)), "samples 100 instead of 65536", 2
    ),
    "no quality bits": Lasting(without_meta, "quality/simple/DQShortnames is missing", 2),
    "damaged inside": Lasting(damaged_inside, "what the server sent is truncated or damaged", 2),
}


@pytest.mark.parametrize("name", LASTING)
def test_a_lasting_fault_is_one_clear_line_and_leaves_the_cache_clean(
    name: str, server: GwoscServer, tmp_path: Path
) -> None:
    fault = LASTING[name]
    fault.make(server)
    with pytest.raises(GwoscError, match=fault.message) as error:
        fetch(server, tmp_path)
    assert "\n" not in str(error.value)
    assert all_pieces(tmp_path / "cache" / "strain") == []
    parts = [path for path in leftovers(tmp_path) if path.endswith(".part")]
    assert len(parts) == fault.kept
    assert len(server.fetched) == fault.asked
    server.faults.clear()
    server.names.clear()
    server.bodies.clear()
    v2.JSON_CACHE.clear()  # the client keeps answers for as long as its process lives
    rewritten(server)
    (segment,) = fetch(server, tmp_path)  # all is well once the fault is gone
    assert segment.strain.size == 16 * RATE


PASSING = {
    "dropped": Fault(drop=200_000, times=1),
    "dropped before anything came": Fault(drop=0, times=1),
    "429": Fault(status=429, headers={"Retry-After": "0"}, times=1),
    "503 with a date": Fault(
        status=503, headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, times=1
    ),
    "500": Fault(status=500, times=2),
    "stalled": Fault(stall=200_000, times=1),
    "short Content-Length": Fault(length=100_000, times=1),
}


@pytest.mark.parametrize("name", PASSING)
@pytest.mark.parametrize("ranges", [True, False], ids=["ranges", "no ranges"])
def test_a_passing_fault_is_said_and_overcome(
    name: str,
    ranges: bool,
    server: GwoscServer,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    server.ranges_served = ranges
    server.faults[NAME] = [Fault(**vars(PASSING[name]))]
    with caplog.at_level(logging.WARNING):
        (segment,) = fetch(server, tmp_path)
    assert "tried again in" in caplog.text
    (piece,) = all_pieces(tmp_path / "cache" / "strain")
    assert is_sound(piece)
    assert leftovers(tmp_path) == [piece.path.name]
    expected = fetch(server, tmp_path / "without")[0].strain
    np.testing.assert_array_equal(segment.strain, expected)


def test_retry_after_is_waited_for(
    server: GwoscServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server.faults[NAME] = [Fault(status=429, headers={"Retry-After": "1"}, times=1)]
    with caplog.at_level(logging.WARNING):
        fetch(server, tmp_path)
    assert "429 Too Many Requests; tried again in 1.0 s" in caplog.text


def test_nan_inside_becomes_a_boundary(server: GwoscServer, tmp_path: Path) -> None:
    strain = np.full(16 * RATE, 1e-21)
    strain[5 * RATE + 100 : 5 * RATE + 200] = np.nan
    rewritten(server, strain=strain)
    first, second = fetch(server, tmp_path)
    assert (first.gps_start, first.strain.size) == (START, 5 * RATE + 100)
    assert second.gps_start == START + 5 + 200 / RATE
    assert np.isfinite(first.strain).all()
    assert np.isfinite(second.strain).all()


def test_a_file_that_changes_between_attempts_is_begun_anew(
    server: GwoscServer, tmp_path: Path
) -> None:
    server.faults[NAME] = [Fault(drop=200_000)]
    with pytest.raises(GwoscError, match="MB are kept and continued by the next try"):
        fetch(server, tmp_path, retries=1)
    server.faults.clear()
    rewritten(server, strain=np.linspace(0, 1e-21, 16 * RATE))
    (segment,) = fetch(server, tmp_path)
    assert server.ranges[-1] is not None  # it did ask to continue
    np.testing.assert_allclose(segment.strain, np.linspace(0, 1e-21, 16 * RATE), rtol=1e-7)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda s: s.faults[RUN_FILES].append(Fault(status=500)), "in 10 attempts .*answered 500"),
        (lambda s: s.faults[RUN_FILES].append(Fault(status=404)), "does not have strain of H1"),
        (lambda s: s.bodies.update({RUN_FILES: b"<html>"}), "something other than JSON.*login"),
        (
            lambda s: s.faults[RUN_FILES].append(
                Fault(status=301, headers={"Location": "http://example.org/"})
            ),
            r"sent us to http://example\.org/, which is not https",
        ),
    ],
    ids=["500", "404", "HTML", "redirect to http"],
)
def test_faults_of_the_listing(
    make: Callable[[GwoscServer], None], message: str, server: GwoscServer, tmp_path: Path
) -> None:
    make(server)
    with pytest.raises(GwoscError, match=message):
        fetch(server, tmp_path)
    assert leftovers(tmp_path) == []


def test_a_listing_that_stumbles_once_goes_on(server: GwoscServer, tmp_path: Path) -> None:
    server.faults[RUN_FILES] = [Fault(status=503, headers={"Retry-After": "0"}, times=1)]
    assert len(fetch(server, tmp_path)) == 1


def test_several_files_that_fail_are_all_named(server: GwoscServer, tmp_path: Path) -> None:
    names = [file_name("H1", START + 16 * n, 16) for n in range(3)]
    for n, name in enumerate(names):
        write_file(server.folder, "H1", START + 16 * n)
        server.faults[name] = [] if n == 1 else [Fault(status=404)]
    with pytest.raises(GwoscError) as error:
        fetch(server, tmp_path, end=START + 48)
    assert names[0] in str(error.value)
    assert names[2] in str(error.value)
    (piece,) = all_pieces(tmp_path / "cache" / "strain")  # what could be had is kept
    assert piece.start == START + 16


def test_a_folder_that_cannot_be_made_is_named(server: GwoscServer, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(GwoscError, match=r"cannot be made .*LIGO_CACHE_DIR"):
        fetch(server, tmp_path)


def test_a_full_disk_is_said_and_leaves_nothing_half_written(
    server: GwoscServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: int) -> None:
        if os.fstat(file).st_size > 100_000:
            raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr("ligo_cpc_snn.strain.replacing.os.fsync", full)
        with pytest.raises(GwoscError, match=r"cannot be written .*No space left.*LIGO_CACHE_DIR"):
            fetch(server, tmp_path)
    assert [name.split(".")[-1] for name in leftovers(tmp_path)] == ["json", "part"]
