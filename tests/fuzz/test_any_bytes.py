"""Any bytes end in a refusal of one line: damaged files, and files made up from nothing."""

from pathlib import Path

import pytest
from hostile_targets import FRAMES, GWF, TARGETS, Target, feed
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

# What makes sizes and counts of binary files absurd.
WORDS = st.sampled_from(
    [b"\x00" * 8, b"\xff" * 8, b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80", b"\x01", b"\x7f" * 4]
)
PAYLOAD = st.one_of(WORDS, st.binary(min_size=1, max_size=16))
KINDS = ["overwrite", "insert", "delete", "cut", "repeat"]
EDITS = st.lists(
    st.tuples(st.sampled_from(KINDS), st.floats(0, 1), PAYLOAD),
    min_size=1,
    max_size=6,
)
FIXED = settings(
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=60,
    suppress_health_check=list(HealthCheck),
)


def edited(body: bytes, edits: list[tuple[str, float, bytes]]) -> bytes:
    """Return bytes after edits, each at a fraction of their length."""
    for kind, place, payload in edits:
        at = int(place * len(body))
        if kind == "overwrite":
            body = body[:at] + payload + body[at + len(payload) :]
        elif kind == "insert":
            body = body[:at] + payload + body[at:]
        elif kind == "delete":
            body = body[:at] + body[at + 8 * len(payload) :]
        elif kind == "cut":
            body = body[:at]
        else:
            body = body[: at + 64] + body[at:]
    return body


FRAMES_OR_WHY_NOT = pytest.param(
    FRAMES,
    marks=pytest.mark.skipif(not GWF, reason="no gwframe: pip install 'ligo-cpc-snn[frames]'"),
)
EACH = [*(target for target in TARGETS if target is not FRAMES), FRAMES_OR_WHY_NOT]


@pytest.fixture(params=EACH, ids=lambda target: target.name)
def target(request: pytest.FixtureRequest) -> Target:
    return request.param


def test_what_is_sound_is_taken(target: Target, tmp_path: Path) -> None:
    for body in target.seeds():
        if target.name != "description":  # its files are not beside it
            assert feed(target, body, tmp_path) is None


@FIXED
@given(data=st.data())
def test_damaged_files_are_refused_in_one_line(
    target: Target, tmp_path: Path, data: st.DataObject
) -> None:
    seeds = target.seeds()
    body = seeds[data.draw(st.integers(0, len(seeds) - 1))]
    feed(target, edited(body, data.draw(EDITS)), tmp_path)


@FIXED
@given(body=st.binary(max_size=400))
def test_made_up_files_are_refused_in_one_line(target: Target, tmp_path: Path, body: bytes) -> None:
    feed(target, body, tmp_path)
