"""Recorded strain in every format, real where the files are, and every way to be unreadable."""

import logging
from pathlib import Path

import h5py
import numpy as np
import pytest

from ligo_cpc_snn.strain.errors import DetectorUnknownError, StrainFileError
from ligo_cpc_snn.strain.files import file_events, folder_events, read_folder, read_strain

SHARED = Path(__file__).parents[2] / "shared" / "data"
needs_data = pytest.mark.skipif(not SHARED.is_dir(), reason=f"no folder {SHARED}")
RATE = 64
QUALITY = ["DATA", "CBC_CAT1", "CBC_CAT2", "CBC_CAT3"]
INJECTION = ["NO_CBC_HW_INJ", "NO_BURST_HW_INJ"]


def write_gwosc(
    path: Path,
    *,
    detector: str = "H1",
    start: int = 1000,
    quality: list[int] | None = None,
    injection: list[int] | None = None,
    rate: int = RATE,
    duration: int = 10,
) -> np.ndarray:
    """Write a file in GWOSC's layout whose strain is its samples' numbers."""
    strain = np.arange(10 * rate, dtype=np.float64)
    with h5py.File(path, "w") as file:
        file["strain/Strain"] = strain
        file["strain/Strain"].attrs["Xspacing"] = 1 / rate
        file["meta/Detector"] = detector.encode()
        file["meta/GPSstart"], file["meta/Duration"] = start, duration
        masks = (("simple", "DQ", QUALITY, quality), ("injections", "Inj", INJECTION, injection))
        for group, prefix, names, mask in masks:
            bits = np.array(mask or [2 ** len(names) - 1] * 10, np.uint32)
            file[f"quality/{group}/{prefix}mask"] = bits
            file[f"quality/{group}/{prefix}Shortnames"] = np.array(names, "S")
    return strain


def write_context(path: Path, detector: str = "H1", start: float = 1000.0, **attrs: object) -> None:
    with h5py.File(path, "w") as file:
        file.attrs.update({"event": "GW000000", "tgps": start + 5.0})
        file[f"{detector}/strain"] = np.arange(10 * RATE, dtype=np.float32)
        file[f"{detector}/strain"].attrs.update({"x0": start, "dx": 1 / RATE} | attrs)


def extents(path: Path, detectors: list[str] | None = None) -> list[tuple[float, float]]:
    return [(s.gps_start, s.gps_end) for s in read_strain(path, detectors)]


@needs_data
@pytest.mark.parametrize("detector", ["H1", "L1"])
def test_reads_official_files(detector: str) -> None:
    path = SHARED / "gwosc32" / f"{detector[0]}-{detector}_GWOSC_4KHZ_R1-1126259447-32.hdf5"
    (segment,) = read_strain(path)
    assert (segment.detector, segment.gps_start, segment.duration) == (detector, 1126259447, 32)
    assert segment.sample_rate_hz == 4096
    assert segment.strain.dtype == np.float64
    assert 1e-20 < segment.strain.std() < 1e-18
    assert segment.source == str(path)


@needs_data
def test_reads_gwpys_files_with_the_detector_from_their_name() -> None:
    (segment,) = read_strain(SHARED / "long" / "L1-1126259494-128-4096Hz.hdf5")
    assert (segment.detector, segment.duration, segment.sample_rate_hz) == ("L1", 128, 4096)
    assert segment.gps_start == pytest.approx(1126259494.4, abs=1e-3)


@needs_data
def test_agrees_with_gwpy() -> None:
    gwpy = pytest.importorskip("gwpy.timeseries")
    path = SHARED / "gwosc32" / "H-H1_GWOSC_4KHZ_R1-1126259447-32.hdf5"
    series = gwpy.TimeSeries.read(path, format="hdf5.gwosc")
    (segment,) = read_strain(path)
    np.testing.assert_array_equal(segment.strain, series.value)
    assert segment.gps_start == series.t0.value


@needs_data
def test_reads_context_files_without_their_tapered_and_inpainted_parts() -> None:
    path = next((SHARED / "context128").glob("GW170202__*.hdf5"))
    assert file_events(path) == {"GW170202": pytest.approx(1170079035.7, abs=0.1)}
    with h5py.File(path) as file:
        start = float(file["L1/strain"].attrs["x0"])
    spans = extents(path, ["L1"])
    assert [round(end - first) for first, end in spans] == [113, 11]  # of 1 to 127 s
    assert spans[0][0] == pytest.approx(start + 1, abs=1 / 1024)
    assert spans[0][1] == pytest.approx(start + 114.25, abs=1 / 1024)


@needs_data
def test_reads_the_mock_data_challenge() -> None:
    segments = read_strain(SHARED / "mlgwsc1" / "ds1_bg_300s.hdf")
    assert [(s.detector, s.gps_start, s.duration) for s in segments] == [
        ("H1", 1238205077, 300),
        ("L1", 1238205077, 300),
    ]
    path = SHARED / "long" / "mlgwsc1_real_noise_1238205077-500_2048Hz.hdf"
    with pytest.raises(DetectorUnknownError, match="does not say which detector"):
        read_strain(path, ["H1", "L1"])
    assert [(s.detector, s.duration) for s in read_strain(path, ["H1"])] == [("H1", 500)]


@needs_data
def test_a_folder_takes_each_time_from_the_best_file(tmp_path: Path) -> None:
    for folder, pattern in (("long", "*4096Hz.hdf5"), ("context128", "GW150914__*")):
        for path in (SHARED / folder).glob(pattern):
            (tmp_path / path.name).symlink_to(path)
    rates = [(s.detector, s.sample_rate_hz) for s in read_folder(tmp_path, ["H1", "L1"])]
    assert rates.count(("H1", 4096)) == rates.count(("L1", 4096)) == 1
    assert ("H1", 1024) in rates
    assert list(folder_events(tmp_path)) == ["GW150914"]


def test_quality_and_injection_bits_cut_seconds_out(tmp_path: Path) -> None:
    quality = [15] * 10
    quality[2], quality[3], quality[9] = 15 - 1, 15 - 8, 15 - 4  # no data, no CAT3, no CAT2
    injection = [3] * 10
    injection[5], injection[6] = 3 - 1, 3 - 2  # a CBC and a burst injection
    strain = write_gwosc(tmp_path / "H.hdf5", quality=quality, injection=injection)
    segments = read_strain(tmp_path / "H.hdf5")
    assert extents(tmp_path / "H.hdf5") == [(1000, 1002), (1004, 1005), (1007, 1009)]
    np.testing.assert_array_equal(segments[1].strain, strain[4 * RATE : 5 * RATE])


def test_stretches_that_are_not_finite_are_cut_out(tmp_path: Path) -> None:
    path = tmp_path / "H1-test.hdf5"
    with h5py.File(path, "w") as file:
        strain = np.ones(10 * RATE)
        strain[: 3 * RATE] = np.nan
        file["Strain"] = strain
        file["Strain"].attrs.update({"x0": 50.0, "dx": 1 / RATE})
    assert extents(path) == [(53.0, 60.0)]


@pytest.mark.parametrize(
    ("file_name", "dataset", "attrs", "expected"),
    [
        ("V1-x.hdf5", "Strain", {"name": "Strain"}, "V1"),
        ("K-K1_x-1-2.hdf5", "Strain", {}, "K1"),
        ("x.hdf5", "Strain", {"channel": "L1:GDS-CALIB_STRAIN"}, "L1"),
        ("x.hdf5", "H1:STRAIN", {}, "H1"),
        ("x.hdf5", "H1/deep/strain0", {}, "H1"),
    ],
)
def test_the_detector_is_found_in_names_and_attributes(
    tmp_path: Path, file_name: str, dataset: str, attrs: dict[str, str], expected: str
) -> None:
    with h5py.File(tmp_path / file_name, "w") as file:
        file[dataset] = np.ones(10)
        file[dataset].attrs.update({"x0": 0.0, "dx": 0.5} | attrs)
    (segment,) = read_strain(tmp_path / file_name)
    assert (segment.detector, segment.sample_rate_hz) == (expected, 2)


def test_context_attributes_are_obeyed(tmp_path: Path) -> None:
    path = tmp_path / "c.hdf5"
    write_context(path, valid_start=1001.0, valid_end=1009.0, low_rms_bins_s=[4.25])
    assert extents(path) == [(1001.0, 1003.75), (1004.75, 1009.0)]
    assert read_strain(path)[0].strain.dtype == np.float64
    assert file_events(path) == {"GW000000": 1005.0}


def test_a_folder_passes_over_what_is_not_wanted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "deep").mkdir()
    write_gwosc(tmp_path / "deep" / "a.hdf5", detector="L1")
    write_gwosc(tmp_path / "b.h5", start=1010)
    write_gwosc(tmp_path / "c.hdf", start=1000)
    write_gwosc(tmp_path / "v.hdf5", detector="V1")
    for name in ("README.md", "notes.txt", "events.csv", "api.json.gz"):
        (tmp_path / name).write_text("not strain")
    with h5py.File(tmp_path / "unnamed.hdf", "w") as file:
        file["data"] = np.ones(10)
        file["data"].attrs.update({"start_time": 0.0, "delta_t": 0.5})
    with caplog.at_level(logging.INFO):
        segments = read_folder(tmp_path, ["H1", "L1"])
    assert [(s.detector, s.gps_start, s.gps_end) for s in segments] == [
        ("H1", 1000, 1020),
        ("L1", 1000, 1010),
    ]
    assert "v.hdf5: no usable strain of H1, L1, left out" in caplog.text
    assert "unnamed.hdf: does not say which detector" in caplog.text


def damaged(path: Path, kind: str) -> str:
    """Write a file that cannot be used and return what the error must say."""
    write_gwosc(path)
    whole = path.read_bytes()
    match kind:
        case "truncated":
            path.write_bytes(whole[: len(whole) // 2])
            return "truncated or damaged"
        case "text":
            path.write_text("GPS,strain\n1,2\n")
            return r"not an HDF5 file \(15 bytes\)"
        case "empty":
            path.write_bytes(b"")
            return r"not an HDF5 file \(0 bytes\)"
        case "layout":
            with h5py.File(path, "w") as file:
                file["mass1"] = np.ones(3)
            return "no strain in a known layout"
        case "rate":
            with h5py.File(path, "a") as file:
                file["strain/Strain"].attrs["Xspacing"] = 0.0123
            return "no whole number of samples per s"
        case "no rate":
            with h5py.File(path, "a") as file:
                del file["strain/Strain"].attrs["Xspacing"]
            return "strain/Strain has no attribute Xspacing"
        case "wrong rate":
            with h5py.File(path, "a") as file:
                file["strain/Strain"].attrs["Xspacing"] = 2 / RATE
            return "640 samples at 32 Hz, meta/Duration says 10 s"
        case "no meta":
            with h5py.File(path, "a") as file:
                del file["meta/Detector"]
            return "meta/Detector is missing"
        case "integers":
            with h5py.File(path, "a") as file:
                del file["strain/Strain"]
                file["strain/Strain"] = np.arange(10 * RATE)
                file["strain/Strain"].attrs["Xspacing"] = 1 / RATE
            return "expected a series of real numbers"
    raise AssertionError(kind)


KINDS = ("truncated", "text", "empty", "layout", "rate", "no rate", "wrong rate", "no meta")


@pytest.mark.parametrize("kind", [*KINDS, "integers"])
def test_unusable_files_are_errors_that_name_file_and_reason(tmp_path: Path, kind: str) -> None:
    message = damaged(tmp_path / "bad.hdf5", kind)
    with pytest.raises(StrainFileError, match=rf"bad\.hdf5: .*{message}"):
        read_strain(tmp_path / "bad.hdf5")
    write_gwosc(tmp_path / "good.hdf5")
    with pytest.raises(StrainFileError, match=rf"bad\.hdf5: .*{message}"):
        read_folder(tmp_path, ["H1"])


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.hdf5: no such file"):
        read_strain(tmp_path / "none.hdf5")
    with pytest.raises(FileNotFoundError, match=r"data\.strain_dir=.*: no such folder"):
        read_folder(tmp_path / "none", ["H1"])
    with pytest.raises(StrainFileError, match=r"no file that ends in \.hdf5"):
        read_folder(tmp_path, ["H1"])


def test_a_detector_without_strain_is_named(tmp_path: Path) -> None:
    write_gwosc(tmp_path / "h.hdf5")
    write_gwosc(tmp_path / "l.hdf5", detector="L1", quality=[0] * 10)
    with pytest.raises(StrainFileError, match="no usable strain of L1 in its files"):
        read_folder(tmp_path, ["H1", "L1"])
