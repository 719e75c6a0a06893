"""What the files of a measurement depend on: their hash, attributes and limits."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ligo_cpc_snn.config.campaign_schema import CampaignConfig
from ligo_cpc_snn.config.data_schema import Source
from ligo_cpc_snn.config.signals_schema import (
    Approximant,
    DistanceKind,
    Distribution,
    MassFrame,
    PopulationConfig,
)
from ligo_cpc_snn.evaluation.challenge import SETTINGS, SETTINGS_TEXT
from ligo_cpc_snn.signals.masses import chirp_mass
from ligo_cpc_snn.signals.population import draw

PER_MONTH = 96_000  # injections, one in 27 s
MONTHS = 8  # that are averaged
LAYOUT = 2  # raised when the same settings begin to give other files
OF_SIGNALS = ("population", "approximant", "modes", "duration_seconds", "reference_hz")
OF_GWOSC = ("events", "event_seconds", "run", "start", "end", "hours")


def settings_hash(cfg: CampaignConfig) -> str:
    """Return a hash of the settings that the files depend on, and of the curves' contents."""
    return hashlib.sha256(settings_text(cfg).encode()).hexdigest()[:16]


def first_difference(before: str, now: str) -> str:
    """Return the first setting that differs between two `settings_text`, with both values."""
    old, new = (dict(_flat(json.loads(text))) for text in (before, now))
    for key in dict.fromkeys([*new, *old]):
        if old.get(key) != new.get(key):
            return f"{key} was {old.get(key)}, is {new.get(key)}"
    return "none differs"


def settings_text(cfg: CampaignConfig) -> str:
    """Return the settings that the files depend on, and hashes of the curves, as JSON."""
    data = asdict(cfg.data)
    if cfg.data.source is Source.synthetic:
        of_noise = {name: data[name] for name in ("psd", "synthetic")}
        for name in ("seconds", "validation_seconds"):
            del of_noise["synthetic"][name]
    else:
        of_noise = {name: data[name] for name in ("strain_dir", "real", "psd_segment_seconds")}
        of_noise |= {"sets": cfg.noise_sets}
        of_noise |= {name: data["gwosc"][name] for name in OF_GWOSC}
    chosen = {
        "layout": LAYOUT,
        "seed": cfg.seed,
        "lengths": [cfg.background_seconds, cfg.foreground_seconds, cfg.segment_seconds],
        "bands": [cfg.noise_lowest_hz, *cfg.data.band_hz],
        "injections": asdict(cfg.injections),
        "strain": [cfg.data.source, cfg.data.detectors, cfg.data.sample_rate_hz],
        "signals": {name: data["signals"][name] for name in OF_SIGNALS},
        "noise": of_noise,
        "contents": [_digest(path) for path in _psd_files(cfg)],
    }
    return json.dumps(chosen, sort_keys=True, default=_plain)


def uniform_in(population: PopulationConfig, approximant: Approximant) -> str:
    """Return which distance is uniform in volume: `chirp_distance` or `distance`.

    Raises:
        ValueError: None is.
    """
    distance = population.distance
    chirp = population.distance_kind is DistanceKind.chirp
    in_volume = distance.kind is Distribution.power_law and distance.index == 2
    if (
        approximant is Approximant.SineGaussian
        or not in_volume
        or (chirp and population.mass_frame is MassFrame.source)
    ):
        raise ValueError(
            f"data.signals.population.distance of kind {distance.kind.name}, index "
            f"{distance.index:g}, of {approximant.name}: a sensitive volume needs binaries of "
            "distances uniform in volume, kind=power_law and index=2, as population=mlgwsc1_ds1; "
            "of chirp distances with masses in the detector's frame"
        )
    return "chirp_distance" if chirp else "distance"


def month_limits(population: PopulationConfig) -> tuple[float, float]:
    """Return the largest distance in Mpc and chirp mass among a month's injections, on average.

    The challenge's volume has these for d_max and Mc_max. Fewer injections have smaller ones,
    and so a smaller distance: by 6 % (and 3 % at random) of 265, by 3 % of 4000 of data set 1.
    """
    largest = []
    for number in range(MONTHS):
        drawn = draw(jax.random.fold_in(jax.random.key(0), number), population, PER_MONTH)
        masses = chirp_mass(*(drawn[name].astype(np.float64) for name in ("mass_1", "mass_2")))
        largest.append((float(drawn["distance"].max()), float(masses.max())))
    distance, mass = np.mean(largest, axis=0)
    return float(distance), float(mass)


def attributes(cfg: CampaignConfig, settings: str) -> dict[str, Any]:
    """Return what every file of a campaign says of itself."""
    return {
        SETTINGS: settings,
        SETTINGS_TEXT: settings_text(cfg),
        "seed": cfg.seed,
        "detectors": list(cfg.data.detectors),
        "sample_rate": cfg.data.sample_rate_hz,
        "low_frequency_cutoff": cfg.noise_lowest_hz,
        "f_lower": cfg.data.highpass_hz,
    }


def _psd_files(cfg: CampaignConfig) -> list[str]:
    fixed = list(cfg.data.synthetic.psd_files.values())
    return sorted({*fixed, *(path for files in cfg.data.psd.files.values() for path in files)})


def _digest(path: str) -> str:
    file = Path(path).expanduser()
    if not file.is_file():
        raise FileNotFoundError(f"spectral density file {path}: no such file")
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _flat(tree: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the leaves of settings, by dotted name; empty ones and lists are leaves."""
    if not isinstance(tree, dict) or not tree:
        yield name, tree
        return
    for key, part in tree.items():
        yield from _flat(part, f"{name}.{key}" if name else key)


def _plain(value: Any) -> str:
    if isinstance(value, Enum):
        return value.name
    raise TypeError(f"{value!r} of {type(value).__name__} in the settings of a campaign")
