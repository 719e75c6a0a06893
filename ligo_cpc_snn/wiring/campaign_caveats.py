"""What a reader of a measurement must know before its numbers."""

from dataclasses import asdict
from enum import Enum
from typing import Any

from ligo_cpc_snn.config.campaign_schema import CampaignConfig
from ligo_cpc_snn.config.compose import load_root
from ligo_cpc_snn.config.data_schema import PsdKind, Source
from ligo_cpc_snn.config.roots import EVALUATION
from ligo_cpc_snn.search.trained import TrainedDetector

POPULATIONS = {"ds1": "mlgwsc1_ds1", "ds3": "mlgwsc1_ds3", "ds4": "mlgwsc1_ds3"}
NOISE = {  # of the challenge's data sets
    "ds1": (Source.synthetic, PsdKind.fixed),
    "ds3": (Source.synthetic, PsdKind.drawn),
    "ds4": (Source.real, None),
}
OF_SIGNALS = ("approximant", "modes", "population")


def caveats_of(cfg: CampaignConfig, searches: dict[str, TrainedDetector | None]) -> list[str]:
    """Return the caveats of a measurement, a sentence or two each.

    Args:
        cfg: its settings.
        searches: that it runs, by label; None: the matched filter.
    """
    return [*_of_published(cfg), *_of_noise(cfg, searches)]


def _of_published(cfg: CampaignConfig) -> list[str]:
    if cfg.published is None:
        return []
    challenge = load_root([f"+population={POPULATIONS[cfg.published]}"], EVALUATION).data.signals
    theirs, ours = asdict(challenge), asdict(cfg.data.signals)
    other = [
        f"data.signals.{key}={_text(now)}, not {_text(then)}"
        for name in OF_SIGNALS
        for key, now, then in _differing(name, ours[name], theirs[name])
    ]
    source, kind = NOISE[cfg.published]
    if cfg.data.source is not source:
        other.append(f"data.source={cfg.data.source.name}, not {source.name}")
    elif kind is not None and cfg.data.psd.kind is not kind:
        other.append(f"data.psd.kind={cfg.data.psd.kind.name}, not {kind.name}")
    if not other:
        return []
    return [
        f"published={cfg.published}: the published distances are not comparable, this measurement "
        f"has other signals or noise than data set {cfg.published[2:]} of the challenge "
        f"({'; '.join(other)})."
    ]


def _of_noise(cfg: CampaignConfig, searches: dict[str, TrainedDetector | None]) -> list[str]:
    if cfg.data.source is not Source.real:
        return []
    told = []
    if "training" in cfg.noise_sets:
        told.append(
            "noise_sets holds training: detectors trained on this strain know its noise, which "
            "flatters them."
        )
    unknown = [n for n, d in searches.items() if d is not None and "config" not in d.card]
    if unknown:
        told.append(
            f"{', '.join(unknown)}: the card does not say on which strain it was trained; if that "
            "was recorded, this noise may be part of it, which flatters it."
        )
    return told


def _differing(name: str, ours: Any, theirs: Any) -> list[tuple[str, Any, Any]]:
    """Return the keys, dotted, of which the values differ, with both values."""
    if not isinstance(ours, dict):
        return [(name, ours, theirs)] if ours != theirs else []
    return [row for key in ours for row in _differing(f"{name}.{key}", ours[key], theirs[key])]


def _text(value: Any) -> str:
    return value.name if isinstance(value, Enum) else f"{value}"
