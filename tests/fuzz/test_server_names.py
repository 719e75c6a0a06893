"""What a server calls things never becomes a path, nor a file of another name."""

from pathlib import Path

import pytest
from gwosc_files import write_file
from gwosc_server import GwoscServer, serving

from ligo_cpc_snn.config.data_schema import GwoscConfig
from ligo_cpc_snn.errors import UserError
from ligo_cpc_snn.strain.gwosc import fetch_strain, known_events
from ligo_cpc_snn.strain.pieces import NAME

GPS = 1126259462.4
EVIL = "../../../planted"


def _config(server: GwoscServer, **more: object) -> GwoscConfig:
    return GwoscConfig(host=server.url, event_seconds=4, retries=1, **more)


def _written(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


@pytest.fixture
def server(tmp_path: Path):
    (tmp_path / "served").mkdir()
    write_file(tmp_path / "served", "H1", 1126259447, 32)
    with serving(tmp_path / "served", {"GW150914": GPS, EVIL: GPS + 1}) as found:
        yield found


def test_names_of_events_stay_names(server: GwoscServer, tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b" / "c" / "d"
    assert EVIL in known_events(_config(server), deep)
    assert all(name.startswith("a/b/c/d/strain/") for name in _written(tmp_path) if name[0] == "a")
    names = {Path(name).name for name in _written(tmp_path / "a")}
    assert names <= {"catalogue.json", "catalogue.lock"}
    assert not list(tmp_path.rglob("planted*"))


@pytest.mark.parametrize(
    "name",
    [
        EVIL,
        f"{EVIL}.hdf5",
        "..%2f..%2fplanted.hdf5",
        "H-H1_GWOSC_4KHZ_R1-1126259447-32.hdf5/../../planted",
        "H-H1_GWOSC_4KHZ_R1/../planted-1126259447-32.hdf5",
        "H-H1_GWOSC_4KHZ_R1-1126259447-32.hdf5\\..\\planted",
        "C:planted.hdf5",
    ],
)
def test_names_of_files_stay_on_the_server(name: str, server: GwoscServer, tmp_path: Path) -> None:
    usual = "H-H1_GWOSC_4KHZ_R1-1126259447-32.hdf5"
    server.names[usual] = name
    with pytest.raises(UserError) as told:
        fetch_strain(_config(server, events=["GW150914"]), ["H1"], tmp_path / "a" / "b" / "c")
    assert "\n" not in str(told.value)
    assert all(path.startswith(("a/b/c/strain/", "served/")) for path in _written(tmp_path))
    assert not list(tmp_path.rglob("planted*"))


def test_what_is_fetched_gets_names_of_our_own(server: GwoscServer, tmp_path: Path) -> None:
    fetch_strain(_config(server, events=["GW150914"]), ["H1"], tmp_path / "cache")
    for path in (tmp_path / "cache" / "strain").glob("*/*.hdf5"):
        assert NAME.fullmatch(path.name)
    assert "GWOSC" not in " ".join(_written(tmp_path / "cache"))


def test_a_name_asked_for_is_no_path_either(server: GwoscServer, tmp_path: Path) -> None:
    with pytest.raises(UserError):
        fetch_strain(_config(server, events=[EVIL]), ["L1"], tmp_path / "a" / "b" / "c" / "d")
    assert not list(tmp_path.rglob("planted*"))
