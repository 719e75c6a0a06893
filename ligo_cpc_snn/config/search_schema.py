"""Settings of a search: a root of their own."""

from dataclasses import dataclass, field

from ligo_cpc_snn.config.data_schema import GwoscConfig
from ligo_cpc_snn.config.requirement import require
from ligo_cpc_snn.config.runtime_schema import RuntimeConfig, fallback_runtime


@dataclass
class TriggerConfig:
    """What counts as a trigger."""

    threshold: float | None = None  # of the statistic; None: the detector's own, or a trigger/10 s
    cluster_seconds: float = 0.3  # the loudest within it stays
    timing_seconds: float = 0.3  # `var` of the events file

    def __post_init__(self) -> None:
        for name in ("cluster_seconds", "timing_seconds"):
            value = getattr(self, name)
            require(value > 0, f"triggers.{name}={value}: expected more than 0")


@dataclass
class BackgroundConfig:
    """Time slides: the detectors' features shifted against each other."""

    slides: int = 100  # at most, short stretches have room for fewer; 0: no contributions either
    shift_seconds: float = 2.0  # least shift, longer than light travel and the network's memory
    extrapolate: bool = False  # false-alarm rates below what the slides resolve, marked as such
    # Before and after each catalogue event, left out of the slides: a known signal is no noise.
    without_events_seconds: float = 1.0

    def __post_init__(self) -> None:
        for name in ("slides", "without_events_seconds"):
            value = getattr(self, name)
            require(value >= 0, f"background.{name}={value}: expected 0 or more")
        require(
            self.shift_seconds > 0,
            f"background.shift_seconds={self.shift_seconds}: expected more than 0",
        )


@dataclass
class StrainInput:
    """Where strain to search comes from: files, a folder, or GWOSC; one of them."""

    files: list[str] = field(default_factory=list)  # HDF5, frame or MLGWSC-1 files, or folders
    exclude: list[str] = field(default_factory=list)  # patterns of files to leave out
    gwosc: GwoscConfig = field(default_factory=GwoscConfig)


@dataclass
class SearchConfig:
    """Root of a search: `python -m ligo_cpc_snn.search`."""

    name: str = "search"
    output_dir: str = "searches/${name}"
    part: str | None = None  # i/n: search every n-th group only, for a later search to merge
    detector: str = "bbh_gaussian"  # a shipped one, a weights file, or a run folder
    strain: StrainInput = field(default_factory=StrainInput)
    follow: str | None = None  # folder to watch for new files
    psd_seconds: float = 256.0  # of strain that one PSD is measured on
    # Of strain per call of the network, and segments side by side; 0: what ligo-optimize found
    # fastest, else 8 s x 4 on a CPU and 32 s x 16 on a GPU.
    chunk_seconds: float = 0.0
    streams: int = 0
    stretch_seconds: float = 1024.0  # read at a time; longer strain in overlapping stretches
    minimum_seconds: float = 8.0  # shorter segments are left out, and said so
    triggers: TriggerConfig = field(default_factory=TriggerConfig)
    background: BackgroundConfig = field(default_factory=BackgroundConfig)
    events_file: str | None = None  # GWOSC's event-versions export (CSV), for the nearest event
    report: bool = True
    runtime: RuntimeConfig = field(default_factory=fallback_runtime)

    def __post_init__(self) -> None:
        for name in ("psd_seconds", "stretch_seconds"):
            value = getattr(self, name)
            require(value > 0, f"{name}={value}: expected more than 0")
        for name in ("minimum_seconds", "chunk_seconds", "streams"):
            value = getattr(self, name)
            require(value >= 0, f"{name}={value}: expected 0 or more")
        if self.part is not None:
            number, _, parts = self.part.partition("/")
            whole = number.isdecimal() and parts.isdecimal()
            require(
                whole and 1 <= int(number) <= int(parts),
                f"part={self.part}: expected i/n with i from 1 to n, as 1/4",
            )
            require(self.follow is None, "part: strain that is followed cannot be split")
