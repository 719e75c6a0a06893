"""What a measurement is asked to score, looked at before anything is made."""

from pathlib import Path
from typing import Any, NamedTuple

from ligo_cpc_snn.config.campaign_schema import CampaignConfig
from ligo_cpc_snn.config.data_schema import RealConfig, Source
from ligo_cpc_snn.evaluation.backgrounds import KINDS
from ligo_cpc_snn.evaluation.challenge import read_events
from ligo_cpc_snn.search.trained import TrainedDetector
from ligo_cpc_snn.search.weights import FILE, load_detector

MATCHED_FILTER = "matched_filter"
SPLIT = ("block_seconds", "validation_fraction", "test_fraction")  # decide a second's set


class Asked(NamedTuple):
    """Searches to run, by label: a detector, or None for the matched filter; and events."""

    searches: dict[str, TrainedDetector | None]
    events: dict[str, Path]


def asked_of(cfg: CampaignConfig) -> Asked:
    """Load the detectors and read the events that a measurement names.

    Raises:
        ValueError: two have one label, or a detector does not fit the strain.
        WeightsError, FileNotFoundError: one of them is not there, or damaged.
    """
    named: dict[str, str] = {}
    for name in cfg.searches:
        label = label_of(name)
        if label in named or label in cfg.events:
            other = f"searches: {named[label]}" if label in named else "events"
            raise ValueError(
                f"searches=[{name}] would be called {label}, as another of {other}: results of one "
                "would replace the other's, rename its folder or file"
            )
        named[label] = name
    for folder in cfg.events.values():
        for kind in KINDS:
            read_events(Path(folder) / f"{kind}.hdf")
    searches = {label: _detector(name, cfg) for label, name in named.items()}
    return Asked(searches, {label: Path(folder) for label, folder in cfg.events.items()})


def label_of(name: str) -> str:
    """Return what a search is called: a detector's name, that of its run folder or its file."""
    path = Path(name).expanduser()
    if path.name == FILE:  # every run folder has one
        path = path.resolve().parent
    return path.name.removesuffix(".safetensors") or path.resolve().name


def _detector(name: str, cfg: CampaignConfig) -> TrainedDetector | None:
    if name == MATCHED_FILTER:
        return None
    detector = load_detector(name)
    missing = [ifo for ifo in detector.detectors if ifo not in cfg.data.detectors]
    if missing:
        raise ValueError(
            f"detector {name} needs strain of {', '.join(missing)}: add it to data.detectors="
            f"{cfg.data.detectors}"
        )
    check_split(name, detector, cfg)
    return detector


def check_split(name: str, detector: TrainedDetector, cfg: CampaignConfig) -> None:
    """Refuse recorded noise that is shared out otherwise than for the detector's training.

    What training held out with `exclude_gps` is new to the detector in any set.

    Raises:
        ValueError: seconds of its training would be noise of the measurement.
    """
    trained = trained_on(detector)
    if cfg.data.source is not Source.real or trained is None:
        return
    theirs, ours = trained["real"], cfg.data.real
    default = RealConfig()
    differing = {
        key: (theirs.get(key, getattr(default, key)), getattr(ours, key))
        for key in SPLIT
        if theirs.get(key, getattr(default, key)) != getattr(ours, key)
    }
    if differing:
        here = ", ".join(f"data.real.{key}={now}" for key, (_, now) in differing.items())
        wanted = " ".join(f"data.real.{key}={then}" for key, (then, _) in differing.items())
        raise ValueError(
            f"detector {name} shared recorded strain out otherwise than {here}: noise here would "
            f"be what it was trained on, give {wanted}"
        )


def trained_on(detector: TrainedDetector) -> dict[str, Any] | None:
    """Return the `data` of a detector's training where that was recorded strain and is known."""
    data: dict[str, Any] | None = detector.card.get("config", {}).get("data")
    if data is None or data["source"] == Source.synthetic.name:
        return None
    return data
