"""Frame files, with and without a library that reads them."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from ligo_cpc_snn.strain.errors import StrainFileError
from ligo_cpc_snn.strain.files import read_strain

RATE = 4096


def test_without_a_reader_the_error_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "H-H1_GWOSC_4KHZ_R1-1126259462-4.gwf").write_bytes(b"IGWD")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(StrainFileError, match=r"pip install 'ligo-cpc-snn\[frames\]'"):
        read_strain(tmp_path / "H-H1_GWOSC_4KHZ_R1-1126259462-4.gwf")


@pytest.fixture
def frame(tmp_path: Path) -> tuple[Path, np.ndarray]:
    gwframe = pytest.importorskip("gwframe", reason="needs the extra `frames`")
    path = tmp_path / "H-H1_GWOSC_4KHZ_R1-1126259462-8.gwf"
    strain = 1e-21 * np.random.default_rng(0).standard_normal(8 * RATE)
    quality = np.full(8, 127, np.int32)
    quality[3] = 127 - 4
    injection = np.full(8, 31, np.int32)
    gwframe.write(
        path,
        {
            "H1:GWOSC-4KHZ_R1_STRAIN": strain,
            "H1:GWOSC-4KHZ_R1_DQMASK": quality,
            "H1:GWOSC-4KHZ_R1_INJMASK": injection,
        },
        start=1126259462.0,
        sample_rate={
            "H1:GWOSC-4KHZ_R1_STRAIN": RATE,
            "H1:GWOSC-4KHZ_R1_DQMASK": 1,
            "H1:GWOSC-4KHZ_R1_INJMASK": 1,
        },
        name="H1",
    )
    return path, strain


@pytest.mark.parametrize("reader", ["gwframe", "gwpy"])
def test_reads_strain_and_its_quality(
    frame: tuple[Path, np.ndarray], reader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, strain = frame
    if reader == "gwpy":
        pytest.importorskip("lalframe", reason="needs lalsuite")
        pytest.importorskip("gwpy.timeseries")  # keeps its import-time warnings to itself
        find = importlib.util.find_spec
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda name: None if name == "gwframe" else find(name)
        )
    segments = read_strain(path, ["H1"])
    assert [(s.gps_start, s.duration) for s in segments] == [(1126259462, 3), (1126259466, 4)]
    np.testing.assert_array_equal(segments[1].strain, strain[4 * RATE :])
    assert read_strain(path, ["L1"]) == []


@pytest.mark.parametrize("damage", ["cut", "header"])
def test_a_damaged_frame_file_is_named(frame: tuple[Path, np.ndarray], damage: str) -> None:
    path, _ = frame
    body = bytearray(path.read_bytes())
    body[24] ^= 1  # of the number that shows the order of 8 bytes: gwframe's own exception
    path.write_bytes(body if damage == "header" else path.read_bytes()[:3000])
    with pytest.raises(StrainFileError, match="not a readable frame file"):
        read_strain(path)
