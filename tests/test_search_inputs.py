"""What a search reads: planned from metadata, one stretch at a time, and every way to have none."""

from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import pytest
from gwosc_files import file_name, write_file
from gwosc_server import serving
from hypothesis import given
from hypothesis import strategies as st

from ligo_cpc_snn.config.data_schema import GwoscConfig
from ligo_cpc_snn.config.search_schema import StrainInput
from ligo_cpc_snn.search import inputs
from ligo_cpc_snn.search.inputs import InputError, Plan, Wanted, opened, split
from ligo_cpc_snn.strain.errors import GwoscError, StrainFileError
from ligo_cpc_snn.strain.files import read_strain, survey
from ligo_cpc_snn.strain.recordings import Recording

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
needs_data = pytest.mark.skipif(not SHARED.is_dir(), reason=f"no folder {SHARED}")
RATE = 256
NAMES = ("H1", "L1")


def wanted(minimum: float = 4.0, longest: float = 1000.0, overlap: float = 1.5) -> Wanted:
    return Wanted(NAMES, 100.0, minimum, longest, overlap)


def write_challenge(
    path: Path, *starts: int, seconds: int = 16, names: tuple[str, ...] = NAMES, rate: int = RATE
) -> Path:
    """Write segments in the challenge's format; a sample's value is its GPS time."""
    with h5py.File(path, "w") as file:
        for name in names:
            for start in starts:
                times = start + np.arange(seconds * rate) / rate
                file[f"{name}/{start}"] = times
                file[f"{name}/{start}"].attrs.update({"start_time": start, "delta_t": 1 / rate})
    return path


def plan_of(*files: Path, want: Wanted | None = None, exclude: tuple[str, ...] = ()) -> Plan:
    strain = StrainInput(files=[str(file) for file in files], exclude=list(exclude))
    with opened(strain, want or wanted(), Path("nowhere")) as plan:
        return plan


def times(plan: Plan) -> list[tuple[float, float]]:
    """Read everything; the strain's values are its times, so that they can be checked."""
    found = []
    for stretch in plan.stretches:
        for part in plan.coincident(stretch)[0]:
            for segment in part.values():
                assert segment.strain[0] == pytest.approx(segment.gps_start)
                assert segment.strain[-1] == pytest.approx(segment.gps_end - 1 / RATE)
            found.append((part["H1"].gps_start, part["H1"].gps_end))
    return found


def test_segments_of_the_challenge_are_read_one_at_a_time(tmp_path, monkeypatch) -> None:
    path = write_challenge(tmp_path / "noise.hdf", 1000, 2000, 3000)
    read: list[tuple[float, float]] = []
    real = Recording.read

    def counting(self: Recording, span: tuple[float, float]):
        found = real(self, span)
        read.extend((s.gps_start, s.gps_end) for s in found)
        return found

    monkeypatch.setattr(Recording, "read", counting)
    plan = plan_of(path)
    assert plan.stretches == ((1000.0, 1016.0), (2000.0, 2016.0), (3000.0, 3016.0))
    assert (plan.seconds, plan.files, plan.left_out) == (48.0, (path,), ())
    assert read == []
    (part,), unusable = plan.coincident(plan.stretches[1])
    assert (list(part), unusable) == (["H1", "L1"], [])
    assert read == [(2000.0, 2016.0)] * 2


@needs_data
def test_reads_the_challenges_own_file() -> None:
    path = SHARED / "mlgwsc1" / "ds1_fg_300s.hdf"
    plan = plan_of(path, want=wanted(longest=64.0))
    (part,), _ = plan.coincident(plan.stretches[2])
    whole = next(s for s in read_strain(path) if s.detector == "L1")
    first = round((part["L1"].gps_start - whole.gps_start) * 2048)
    expected = whole.strain[first : first + part["L1"].strain.size]
    np.testing.assert_array_equal(part["L1"].strain, expected)
    assert 60 < part["L1"].duration <= 64


@needs_data
def test_official_files_give_their_common_time_and_are_open_data() -> None:
    plan = plan_of(*sorted((SHARED / "gwosc32").glob("*-1126259447-32.hdf5")))
    assert (plan.stretches, plan.open_data) == (((1126259447.0, 1126259479.0),), True)


def test_files_that_follow_each_other_are_one_stretch(tmp_path) -> None:
    for start in (1000, 1016, 1032):
        write_challenge(tmp_path / f"H-{start}.hdf", start, names=("H1",))
        write_challenge(tmp_path / f"L-{start}.hdf", start, names=("L1",))
    assert times(plan_of(tmp_path)) == [(1000.0, 1048.0)]


@given(st.floats(1e9, 1.1e9), st.floats(1.0, 5000.0), st.floats(20.0, 1000.0), st.floats(0.1, 9.0))
def test_stretches_lose_nothing_between_them(start, seconds, longest, overlap) -> None:
    """What whitening and warm-up take at a stretch's ends lies in the stretches beside it."""
    parts = split((start, start + seconds), wanted(longest=longest, overlap=overlap))
    lengths = [b - a for a, b in parts]
    assert (parts[0][0], parts[-1][1]) == (start, start + seconds)
    assert max(lengths) <= longest + 1e-6
    assert max(lengths) - min(lengths) < 2  # none too short to be searched
    for (_, end), (following, _) in pairwise(parts):
        assert end - following == pytest.approx(overlap, abs=1e-6)
        assert (following - start) % 1 == pytest.approx(0, abs=1e-6)  # on a sample


def test_a_long_stretch_is_read_in_parts(tmp_path) -> None:
    path = write_challenge(tmp_path / "noise.hdf", 1000, seconds=100)
    found = times(plan_of(path, want=wanted(longest=40.0)))
    assert found == [(1000.0, 1033.5), (1032.0, 1066.5), (1065.0, 1100.0)]


def test_what_is_left_out_is_said_with_its_reason(tmp_path) -> None:
    write_file(tmp_path, "H1", 1000, quality={8: 0, 9: 0})
    write_file(tmp_path, "L1", 1000, injections={3: 0})
    write_file(tmp_path, "L1", 1016)
    plan = plan_of(tmp_path)
    assert plan.stretches == ((1004.0, 1008.0), (1010.0, 1016.0))
    assert [(s.start, s.end, s.reason) for s in plan.left_out] == [
        (1000.0, 1003.0, "shorter than 4 s"),
        (1003.0, 1004.0, "data quality of L1"),
        (1008.0, 1010.0, "data quality of H1"),
        (1016.0, 1032.0, "no strain of H1"),
    ]
    assert plan.seconds == 10.0


def test_samples_that_cannot_be_used_are_found_in_reading(tmp_path) -> None:
    path = write_challenge(tmp_path / "noise.hdf", 1000)
    with h5py.File(path, "a") as file:
        file["H1/1000"][6 * RATE : 6 * RATE + 64] = np.nan
        file["L1/1000"][12 * RATE : 13 * RATE] = 0.0
    plan = plan_of(path)
    found, unusable = plan.coincident(plan.stretches[0])
    extents = [(p["L1"].gps_start, p["L1"].gps_end) for p in found]
    assert extents == [(1000.0, 1006.0), (1006.25, 1012.0)]
    assert [(s.start, s.end, s.reason) for s in unusable] == [
        (1006.0, 1006.25, inputs.UNUSABLE),
        (1012.0, 1013.0, inputs.UNUSABLE),
        (1013.0, 1016.0, "shorter than 4 s"),
    ]


def test_detectors_of_different_rates_are_brought_to_the_lower(tmp_path) -> None:
    write_challenge(tmp_path / "H.hdf", 1000, names=("H1",), rate=512)
    write_challenge(tmp_path / "L.hdf", 1000, names=("L1",))
    (part,), _ = (plan := plan_of(tmp_path)).coincident(plan.stretches[0])
    assert {(s.sample_rate_hz, s.strain.size) for s in part.values()} == {(256, 16 * 256)}


def test_metadata_and_samples_agree(tmp_path) -> None:
    """`survey` says what `read_strain` then finds, and a span of it is that part of the whole."""
    path = write_file(tmp_path, "H1", 1000, quality={0: 0, 8: 0})
    (extent,) = survey(path)
    assert extent.usable == ((1001.0, 1008.0), (1009.0, 1016.0))
    assert [(s.gps_start, s.gps_end) for s in read_strain(path)] == list(extent.usable)
    (part,) = read_strain(path, span=(1002.5, 1005.0))
    whole = read_strain(path)[0]
    assert (part.gps_start, part.duration) == (1002.5, 2.5)
    np.testing.assert_array_equal(part.strain, whole.strain[6144 : 6144 + 10240])


def test_excluded_files_are_not_read(tmp_path) -> None:
    write_challenge(tmp_path / "noise.hdf", 1000)
    write_challenge(tmp_path / "foreground.hdf", 2000)
    assert plan_of(tmp_path, exclude=("fore*",)).stretches == ((1000.0, 1016.0),)


def message(*files: Path, **how) -> str:
    with pytest.raises((InputError, StrainFileError, FileNotFoundError)) as caught:
        plan_of(*files, **how)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_bad_input_is_said_in_one_line(tmp_path) -> None:
    assert "there is nothing to search" in message()
    assert "no such file or folder" in message(tmp_path / "absent.hdf")
    (tmp_path / "empty").mkdir()
    assert "has no file that ends in .hdf5" in message(tmp_path / "empty")
    only = write_challenge(tmp_path / "only.hdf", 1000, names=("H1",))
    assert "no strain of L1 in only.hdf" in message(only)
    later = write_challenge(tmp_path / "later.hdf", 5000, names=("L1",))
    said = message(only, later)
    assert "H1, L1 have no common usable time of 4 s or more" in said
    assert "H1 1000.0-1016.0; L1 5000.0-5016.0" in said
    (tmp_path / "text.hdf").write_text("no strain")
    assert "not an HDF5 file" in message(tmp_path / "text.hdf")
    damaged = tmp_path / "damaged.hdf"
    damaged.write_bytes(only.read_bytes()[:3000])
    assert "truncated or damaged" in message(damaged)


@pytest.fixture
def server(tmp_path):
    """A server with 32 s of both detectors, of which one second of H1 is bad."""
    folder = tmp_path / "served"
    folder.mkdir()
    for start in (1126259440, 1126259456):
        write_file(folder, "H1", start, quality={2: 0} if start == 1126259440 else None)
        write_file(folder, "L1", start)
    with serving(folder, {"GW150914": 1126259462.4}) as running:
        yield running


def gwosc(server, **settings) -> StrainInput:
    return StrainInput(gwosc=GwoscConfig(host=server.url, retries=1, **settings))


def test_spans_of_gwosc_come_through_the_cache(server, tmp_path) -> None:
    span = gwosc(server, start=1126259440, end=1126259472)
    with opened(span, wanted(minimum=2.0), tmp_path) as plan:
        assert plan.stretches == ((1126259440.0, 1126259442.0), (1126259443.0, 1126259472.0))
        assert [s.reason for s in plan.left_out] == ["data quality of H1"]
        assert (plan.source, plan.open_data) == ("GWOSC, GPS 1126259440 to 1126259472", True)
        (part,), _ = plan.coincident(plan.stretches[1])
    path = server.folder / file_name("L1", 1126259456, 16)
    expected = read_strain(path)[0].strain.astype(np.float32)
    np.testing.assert_array_equal(part["L1"].strain[-16 * 4096 :], expected)
    asked = len(server.requests)
    with opened(span, wanted(minimum=2.0), tmp_path):
        assert len(server.requests) == asked  # nothing is fetched again


def test_an_event_of_gwosc_by_its_name(server, tmp_path) -> None:
    with opened(gwosc(server, events=["GW150914"], event_seconds=8), wanted(), tmp_path) as plan:
        assert plan.stretches == ((1126259459.0, 1126259467.0),)
        assert plan.source == "GWOSC, GW150914"
    unknown = gwosc(server, events=["GW150915"])
    with pytest.raises(GwoscError, match="GW150915"), opened(unknown, wanted(), tmp_path):
        pass
