"""The command line of the strain cache, as a user types it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from gwosc.api import v2
from gwosc_files import file_name, write_file
from gwosc_server import Fault, GwoscServer, serving

from ligo_cpc_snn.runtime.environment import cache_folder
from ligo_cpc_snn.strain import __main__ as entry
from ligo_cpc_snn.strain.command_line import run
from ligo_cpc_snn.strain.room import all_pieces

START = 1130000000


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GwoscServer]:
    monkeypatch.setattr(v2, "JSON_CACHE", {})
    (tmp_path / "archive").mkdir()
    for detector in ("H1", "L1"):
        for first in (0, 16):
            write_file(tmp_path / "archive", detector, START + first, quality={3: 0})
    with serving(tmp_path / "archive", {"GWTEST": START + 8.4}) as served:
        yield served


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def span(seconds: int = 32) -> list[str]:
    return ["--start", str(START), "--end", str(START + seconds)]


def test_fetch_says_what_there_is(
    server: GwoscServer, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["fetch", "--run", "O1", "--detectors", "H1,L1", *span(), "--host", server.url]
    assert run(command, cache) == 0
    out = capsys.readouterr().out
    assert "H1: 30.0 s usable of 32 s asked for, in 3 stretches\n" in out
    assert "L1: 30.0 s usable of 32 s asked for, in 3 stretches\n" in out
    assert f"strain cache {cache / 'strain'}: 4 files, 0.001 GB\n" in out
    server.requests.clear()
    assert run([*command, "--offline"], cache) == 0
    assert server.requests == []


def test_fetch_around_an_event_and_by_hours(
    server: GwoscServer, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    host = ["--host", server.url, "--detectors", "H1"]
    assert run(["fetch", "--event", "GWTEST", "--seconds", "8", *host], cache) == 0
    assert "H1: 8.0 s usable of 8 s" in capsys.readouterr().out
    hours = str(16 / 3600)
    assert run(["fetch", "--start", str(START), "--hours", hours, *host], cache) == 0
    assert "H1: 15.0 s usable of 16 s" in capsys.readouterr().out


def test_list_shows_spans_and_usable_seconds(
    server: GwoscServer, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["list"], cache) == 0
    assert "0 files" in capsys.readouterr().out
    run(["fetch", "--detectors", "H1", *span(48), "--host", server.url], cache)
    capsys.readouterr()
    assert run(["list"], cache) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [row[1:5] for row in rows[1:3]] == [
        ["H1", str(START), "16", "15"],
        ["H1", str(START + 16), "16", "15"],
    ]
    assert rows[3][1:6] == ["H1", str(START + 32), "16", "no", "file"]


def test_verify_names_broken_files_and_the_next_fetch_mends_them(
    server: GwoscServer, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fetch = ["fetch", "--detectors", "H1", *span(), "--host", server.url]
    run(fetch, cache)
    assert run(["verify"], cache) == 0
    assert "2 of 2 files are as they were written" in capsys.readouterr().out
    broken = all_pieces(cache / "strain")[0].path
    broken.write_bytes(broken.read_bytes()[:-1])
    assert run(["verify"], cache) == 1
    out = capsys.readouterr().out
    assert f"broken: {broken}\n1 of 2 files" in out
    assert run(fetch, cache) == 0
    assert run(["verify"], cache) == 0


def test_clean_deletes_what_is_asked_for_and_says_it(
    server: GwoscServer, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(["fetch", *span(), "--host", server.url], cache)
    first, second, third, fourth = (piece.path for piece in all_pieces(cache / "strain"))
    part = first.parent / "incoming" / "H1-1-2-x.part"
    part.write_bytes(b"x")
    first.write_bytes(b"broken")
    capsys.readouterr()
    assert run(["clean"], cache) == 0
    out = capsys.readouterr().out
    assert f"deleted {part}\ndeleted {first}\ndeleted 2 files;" in out
    two_days_ago = time.time() - 2 * 86400
    os.utime(third, (two_days_ago, two_days_ago))
    assert run(["clean", "--older-than", "1"], cache) == 0
    assert f"deleted {third}\ndeleted 1 file;" in capsys.readouterr().out
    os.utime(fourth, (two_days_ago, two_days_ago))
    assert run(["clean", "--to-gb", "0.0003"], cache) == 0
    assert f"deleted {fourth}\ndeleted 1 file;" in capsys.readouterr().out
    assert run(["clean", "--all"], cache) == 0
    assert f"deleted {second}\n" in capsys.readouterr().out
    assert all_pieces(cache / "strain") == []


ERRORS = {
    "fetch --run O1": "O1 alone: it is GPS 1126051217 to 1137254417 (130 days); give",
    "fetch --run O1 --start 5 --hours 1": "--start=5 to 3605 is not within --run=O1, GPS",
    "fetch --run O9 --start 5 --hours 1": "error: --run=O9: expected one of O1, O2",
    f"fetch --run O1 --start {START} --hours 1 --detectors V1": "--detectors has V1: run O1 has",
    "fetch": "nothing to fetch: expected --event, or --start with --end or --hours",
    "fetch --event GWTEST --hours 1": "--hours=1.0: expected --start with it",
    "fetch --event GWTEST --end 9": "--end=9: expected --start with it",
    "fetch --event GWTEST --start 5": "--start=5: expected --end or --hours with it",
    "fetch --event GWTEST --run O9": "--run=O9: expected --start with it",
    f"fetch --start {START} --hours 1 --seconds 8": "--seconds=8: expected --event with it",
    "fetch --event GWTEST --seconds 0": "--seconds=0.0: expected more than 0",
    "fetch --event GWTEST --limit-gb 0": "--limit-gb=0.0: expected more than 0",
    "fetch --event GWTEST --detectors X1": "'X1' is not known, expected some of H1,L1,V1,K1",
    "fetch --event GWTEST --detectors=": "--detectors=: '' is not known, expected some of",
    "fetch --start 5 --end 4": "--start=5: expected less than --end=4",
    "fetch --start 5 --end 9 --hours 1": "expected one of them",
    "fetch --start 5 --hours -1": "error: --hours=-1.0: expected more than 0",
    "fetch --event GW150915": "does not have event GW150915",
    "fetch --start soon": "invalid int value: 'soon'; python -m ligo_cpc_snn.strain fetch --help",
    "clean --all --to-gb 1": "not allowed with argument",
    "fetch --host http://example.org --event GW150914": "expected an https:// address",
    "fetch --host http://127.0.0.1:9 --event GWTEST": "http://127.0.0.1:9 did not answer when",
    "fetch --offline --event GWTEST": "the time of event GWTEST is not in",
    "mend": "invalid choice: 'mend'",
}


@pytest.mark.parametrize("command, message", ERRORS.items())
def test_a_mistake_is_one_line_and_exit_code_1(
    command: str,
    message: str,
    server: GwoscServer,
    cache: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = command.split()
    if words[0] == "fetch" and "--host" not in words:
        words += ["--host", server.url]
    assert run(words, cache) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert message in line
    assert "data.gwosc" not in line
    assert all_pieces(cache / "strain") == []


@pytest.mark.parametrize("detectors", ["X1", "H1,", ""])
def test_a_wrong_detector_asks_the_server_nothing(
    detectors: str, server: GwoscServer, cache: Path
) -> None:
    words = ["fetch", "--event", "GWTEST", "--detectors", detectors, "--host", server.url]
    assert run(words, cache) == 1
    assert server.requests == []


@pytest.mark.parametrize("command", [[], ["fetch"], ["list"], ["verify"], ["clean"]])
def test_help_names_the_options(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        run([*command, "--help"], Path("somewhere"))
    assert end.value.code == 0
    out = capsys.readouterr().out
    for option in {"fetch": ["--host", "--offline", "--event"]}.get("".join(command), []):
        assert option in out
    assert ("--cache" in out) == bool(command)


def test_the_folder_is_that_of_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LIGO_CACHE_DIR", str(tmp_path / "mine"))
    assert entry.main(["list"]) == 0
    assert str(cache_folder() / "strain") in capsys.readouterr().out
    assert cache_folder() == tmp_path / "mine"


def test_an_interrupt_keeps_what_has_arrived_and_jax_is_not_imported(
    server: GwoscServer, cache: Path
) -> None:
    name = file_name("H1", START, 16)
    server.faults[name] = [Fault(stall=300_000, times=1)]
    # A shell's background jobs ignore Ctrl-C, and so would this child of a test run there.
    script = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "import sys; from ligo_cpc_snn.strain.__main__ import main; code = main()\n"
        "assert 'jax' not in sys.modules; sys.exit(code)"
    )
    words = ["fetch", "--detectors", "H1", *span(16), "--host", server.url]
    command = [sys.executable, "-c", script, *words]
    environment = os.environ | {"LIGO_CACHE_DIR": str(cache)}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    part = None
    for _ in range(600):
        part = next((cache / "strain").rglob("*.part"), None)
        if part is not None and part.stat().st_size > 200_000:
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "stopped: what has arrived is kept, the same command continues" in errors
    assert "Traceback" not in errors
    assert part is not None
    have = part.stat().st_size
    assert all_pieces(cache / "strain") == []
    server.ranges.clear()
    subprocess.run(command, env=environment, check=True, capture_output=True)
    assert server.ranges == [f"bytes={have}-"]
    (piece,) = all_pieces(cache / "strain")
    assert piece.seconds == 16
