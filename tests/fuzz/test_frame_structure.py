"""Frame files are looked at before a library reads them: every flipped byte is told."""

import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ligo_cpc_snn.strain.errors import StrainFileError
from ligo_cpc_snn.strain.frame_structure import check_structure, posix_checksum


def frame_file(order: str = "<") -> bytes:
    """A header of format 8 and three structures with checksums; the last one's is the file's."""
    header = b"IGWD\0\x08\x01\x02\x04\x08\x04\x08" + struct.pack(
        f"{order}HIQfdBB", 0x1234, 0x12345678, 0x123456789ABCDEF, 3.14159, 3.14159265, 2, 1
    )
    body = header
    for kind, text in ((1, b"FrSH"), (2, b"FrVect of strain"), (6, b"FrEndOfFile")):
        start = struct.pack(f"{order}QBBI", 14 + len(text) + 4, 1, kind, 0) + text
        body += start + struct.pack(f"{order}I", posix_checksum(start))
    return body


LAST = len(frame_file()) - (14 + len(b"FrEndOfFile") + 4)


def test_the_checksum_is_that_of_cksum() -> None:
    assert posix_checksum(b"") == 4294967295
    assert posix_checksum(b"123456789") == 930766865  # POSIX.1-2017, the usual check value


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_sound_file_is_taken(order: str, tmp_path: Path) -> None:
    path = tmp_path / "x.gwf"
    path.write_bytes(frame_file(order))
    check_structure(path)


@settings(
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(place=st.integers(40, LAST + 7), value=st.integers(1, 255))
def test_a_flipped_byte_is_told(place: int, value: int, tmp_path: Path) -> None:
    body = bytearray(frame_file())
    body[place] ^= value
    (tmp_path / "x.gwf").write_bytes(body)
    kind_of_checksum = place in (40 + 8, 62 + 8)  # then there is none to compare
    if kind_of_checksum:
        return
    with pytest.raises(StrainFileError, match="not a readable frame file"):
        check_structure(tmp_path / "x.gwf")


@pytest.mark.parametrize("kept", [0, 3, 40, 41, 60, LAST + 3, -1])
def test_a_truncated_file_is_told(kept: int, tmp_path: Path) -> None:
    (tmp_path / "x.gwf").write_bytes(frame_file()[:kept])
    with pytest.raises(StrainFileError, match="not a readable frame file"):
        check_structure(tmp_path / "x.gwf")
