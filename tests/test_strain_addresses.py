"""Which addresses are asked, which names are believed, which files are chosen."""

import pytest
import requests
from igwn_segments import segment, segmentlist

from ligo_cpc_snn.strain.addresses import GuardedSession, check_host, is_loopback
from ligo_cpc_snn.strain.errors import GwoscError
from ligo_cpc_snn.strain.sources import SourceFile, fewest_covering, source_file


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://127.0.0.1:80/x", True),
        ("http://127.8.9.1", True),
        ("http://[::1]:8000", True),
        ("http://localhost/", True),
        ("http://127.0.0.1.example.org", False),
        ("http://127.0.0.1@example.org", False),
        ("http://localhost.example.org", False),
        ("http://10.0.0.1", False),
    ],
)
def test_loopback_is_what_says_so(url: str, local: bool) -> None:
    assert is_loopback(url) == local
    if local:
        check_host(url)
    else:
        with pytest.raises(GwoscError, match="expected an https:// address"):
            check_host(url)


@pytest.mark.parametrize("host", ["ftp://gwosc.org", "gwosc.org", "https://", "file:///etc"])
def test_a_host_must_be_https(host: str) -> None:
    with pytest.raises(GwoscError, match="expected an https:// address"):
        check_host(host)


@pytest.mark.parametrize(
    "url", ["http://example.org/x", "http://127.0.0.1:8/x", "ftp://gwosc.org/"]
)
def test_a_server_on_the_net_cannot_send_us_to_plain_http(url: str) -> None:
    with pytest.raises(GwoscError, match="not https"):
        GuardedSession("https://gwosc.org").get(url)


def test_its_own_addresses_are_asked_over_https(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def send(_: object, request: requests.PreparedRequest, **__: object) -> requests.Response:
        asked.append(request.url)
        return requests.Response()

    monkeypatch.setattr(requests.Session, "send", send)
    GuardedSession("https://gwosc.org").get("http://gwosc.org/api/v2/events?page=2")
    assert asked == ["https://gwosc.org/api/v2/events?page=2"]


@pytest.mark.parametrize(
    "name",
    [
        "H-H1_GWOSC_4KHZ_R1-1126259447-0.hdf5",
        "H-H1_GWOSC_4KHZ_R1-1126259447-32.hdf5.exe",
        "H-H1_GWOSC_4KHZ_R1-1126259447-32.gwf",
        "L-L1_GWOSC_4KHZ_R1-1126259447-32.hdf5",
        "H-H1_GWOSC\\..\\R1-1126259447-32.hdf5",
        "%2e%2e%2fH-H1_GWOSC_4KHZ_R1-1126259447-32.hdf5",
        "H-H1_GWOSC_4KHZ_R1-١١٢٦٢٥٩٤٤٧-32.hdf5",
        "",
    ],
)
def test_only_strain_files_names_are_believed(name: str) -> None:
    with pytest.raises(GwoscError, match="not the address of a GWOSC strain file"):
        source_file(f"https://gwosc.org/data/{name}", "H1")


def test_names_on_this_machine_are_our_own() -> None:
    source = source_file("https://gwosc.org/a/H-H1_GWOSC_4KHZ_R1-1126259447-32.hdf5", "H1")
    assert source.span == segment(1126259447, 1126259479)
    assert source.key.startswith("H1-1126259447-32-")
    assert len(source.key) == len("H1-1126259447-32-") + 12


def test_the_smallest_files_that_hold_it_are_chosen() -> None:
    def source(start: int, seconds: int) -> SourceFile:
        return SourceFile(f"{start}-{seconds}", "H1", start, seconds)

    files = [source(0, 4096), source(2000, 32), source(4096, 4096), source(8192, 4096)]
    assert fewest_covering(files, segmentlist([segment(2000, 2032)])) == [files[1]]
    assert fewest_covering(files, segmentlist([segment(1990, 2050)])) == [files[0]]
    chosen = fewest_covering(files, segmentlist([segment(4000, 4200)]))
    assert sorted(f.start for f in chosen) == [0, 4096]
    assert fewest_covering(files, segmentlist([segment(20000, 20001)])) == []
