"""Settings of a measurement of sensitivity: injections into noise, searches, and their scores.

A root of its own. `data` has the keys it has in training, so that `population=mlgwsc1_ds1`,
`data.psd.kind=drawn` or `data.source=real` mean the same; what concerns banks of windows
(storage, glitches, quality, the window itself) is not read here.
"""

from dataclasses import dataclass, field
from itertools import pairwise

from ligo_cpc_snn.config.data_schema import DataConfig, Source
from ligo_cpc_snn.config.requirement import require
from ligo_cpc_snn.config.runtime_schema import RuntimeConfig, fallback_runtime

SETS = ("training", "validation", "test")
PUBLISHED = ("ds1", "ds3", "ds4")  # data sets of the challenge with published distances


@dataclass
class InjectionConfig:
    """When signals arrive: one after `spacing_seconds` and up to `spread_seconds` more."""

    spacing_seconds: float = 24.0
    spread_seconds: float = 6.0
    edge_seconds: float = 30.0  # no merger nearer to the ends of a segment

    def __post_init__(self) -> None:
        for name in ("spread_seconds", "edge_seconds"):
            value = getattr(self, name)
            require(value >= 0, f"injections.{name}={value}: expected 0 or more")
        require(
            self.spacing_seconds > 0,
            f"injections.spacing_seconds={self.spacing_seconds}: expected more than 0",
        )


@dataclass
class CampaignConfig:
    """Root of a measurement: `python -m ligo_cpc_snn.evaluate population=mlgwsc1_ds1`."""

    name: str = "campaign"
    output_dir: str = "campaigns/${name}"
    seed: int = 0
    data: DataConfig = field(default_factory=DataConfig)
    background_seconds: float = 7200.0  # of noise alone
    foreground_seconds: float = 7200.0  # of other noise, with injections
    segment_seconds: float = 7200.0  # longest; simulated noise has one PSD in each
    noise_lowest_hz: float = 15.0  # simulated noise is cut below
    # Recorded noise: training, validation, test, as `data.real` splits it. What a detector was
    # trained on flatters it.
    noise_sets: list[str] = field(default_factory=lambda: ["validation", "test"])
    injections: InjectionConfig = field(default_factory=InjectionConfig)
    # Shipped detectors, weights files or run folders, and `matched_filter`.
    searches: list[str] = field(default_factory=list)
    # Events of other searches over the same files, by name: folders that hold
    # background.hdf and foreground.hdf in the challenge's format.
    events: dict[str, str] = field(default_factory=dict)
    false_alarm_rates_per_month: list[float] = field(
        default_factory=lambda: [1.0, 10.0, 100.0, 1000.0]
    )
    published: str | None = None  # ds1, ds3 or ds4: published distances in the figure
    report: bool = True
    runtime: RuntimeConfig = field(default_factory=fallback_runtime)

    def __post_init__(self) -> None:
        for name in ("background_seconds", "foreground_seconds", "segment_seconds"):
            value = getattr(self, name)
            require(value > 0, f"{name}={value}: expected more than 0")
        require(
            self.noise_lowest_hz > 0,
            f"noise_lowest_hz={self.noise_lowest_hz}: expected more than 0",
        )
        rates = self.false_alarm_rates_per_month
        require(
            bool(rates) and all(a < b for a, b in pairwise(rates)) and rates[0] > 0,
            f"false_alarm_rates_per_month={rates}: expected one or more, above 0, increasing",
        )
        require(
            self.published is None or self.published in PUBLISHED,
            f"published={self.published}: expected one of {', '.join(PUBLISHED)}, or null",
        )
        unknown = [name for name in self.noise_sets if name not in SETS]
        require(
            bool(self.noise_sets) and not unknown,
            f"noise_sets={self.noise_sets}: expected one or more of {', '.join(SETS)}",
        )
        require(
            self.data.source is not Source.recoloured,
            "data.source=recoloured: a measurement takes synthetic or real noise",
        )
