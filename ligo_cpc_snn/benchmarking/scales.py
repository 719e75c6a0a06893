"""How large the benchmark's work is, from a test's to a GPU's."""

from enum import Enum
from typing import NamedTuple


class Scale(Enum):
    """`tiny`: seconds, for tests; `small`: that of the ceilings and aims; `large`: for GPUs."""

    tiny = "tiny"
    small = "small"
    medium = "medium"
    large = "large"


class Size(NamedTuple):
    """The work of a scale.

    Args:
        overrides: of the config, before the user's own.
        frames, channels, widths: of the spiking network alone; its batch is the config's.
        search_seconds: of strain of each segment that is searched, s.
        segments: that are searched side by side.
        slides: of the segments' features.
        signals: made at a time, for the data.
        repeats: timed calls of each function.
    """

    overrides: tuple[str, ...]
    frames: int
    channels: int
    widths: tuple[int, ...]
    search_seconds: float
    segments: int
    slides: int
    signals: int
    repeats: int


OUTPUTS = 2  # of the spiking network alone


def _setting(batch: int, rate_hz: int, seconds: float, *more: str) -> tuple[str, ...]:
    return (
        f"training.batch_size={batch}",
        f"data.sample_rate_hz={rate_hz}",
        f"data.window_seconds={seconds}",
        "trackers.progress=false",
        *more,
    )


SIZES = {
    Scale.tiny: Size(
        _setting(2, 1024, 0.5, "model.snn.widths=[8]", "training.infonce.anchors=8"),
        frames=32, channels=16, widths=(16, 8), search_seconds=24.0, segments=2, slides=4,
        signals=8, repeats=5,
    ),
    Scale.small: Size(
        _setting(16, 4096, 1.0),
        frames=256, channels=512, widths=(256, 128), search_seconds=128.0, segments=4, slides=64,
        signals=256, repeats=20,
    ),
    Scale.medium: Size(
        _setting(16, 4096, 4.0),
        frames=1024, channels=512, widths=(256, 128), search_seconds=256.0, segments=8,
        slides=256, signals=256, repeats=10,
    ),
    Scale.large: Size(
        _setting(64, 4096, 4.0),
        frames=1024, channels=512, widths=(256, 128), search_seconds=1024.0, segments=16,
        slides=1024, signals=1024, repeats=5,
    ),
}  # fmt: skip
