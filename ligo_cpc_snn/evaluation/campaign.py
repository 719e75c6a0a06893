"""The files of a measurement: background, foreground and injections, made once."""

import logging
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import h5py
import jax
import numpy as np
from jaxtyping import Float

from ligo_cpc_snn.config.campaign_schema import CampaignConfig
from ligo_cpc_snn.evaluation.backgrounds import KINDS, NoiseSegment, simulated_noise
from ligo_cpc_snn.evaluation.campaign_settings import (
    attributes,
    first_difference,
    month_limits,
    settings_hash,
    settings_text,
    uniform_in,
)
from ligo_cpc_snn.evaluation.challenge import (
    SETTINGS_TEXT,
    Table,
    settings_of,
    write_injections,
    write_segment,
)
from ligo_cpc_snn.evaluation.injections import Injector, arrival_times, to_table
from ligo_cpc_snn.evaluation.sensitivity import LIMITS, UNIFORM_IN
from ligo_cpc_snn.rng import stream
from ligo_cpc_snn.signals.population import draw

log = logging.getLogger(__name__)

NoiseOf = Callable[[CampaignConfig, str], Iterator[NoiseSegment]]


class CampaignFiles(NamedTuple):
    """Where the files of a campaign are."""

    background: Path
    foreground: Path
    injections: Path


def campaign_files(folder: Path) -> CampaignFiles:
    """Return the paths in a folder."""
    return CampaignFiles(*(folder / f"{name}.hdf" for name in CampaignFiles._fields))


def make_campaign(
    cfg: CampaignConfig, folder: Path, noise: NoiseOf = simulated_noise
) -> CampaignFiles:
    """Make what is not there yet; one segment at a time is in memory.

    Args:
        cfg: The settings; the same ones give the same files.
        folder: It exists.
        noise: Yields the segments of background and foreground.

    Raises:
        ValueError: The folder holds files of other settings, or the population's volume is
            none that a sensitive volume can be measured in.
    """
    files, settings = campaign_files(folder), settings_hash(cfg)
    uniform_in(cfg.data.signals.population, cfg.data.signals.approximant)
    for path in files:
        found = settings_of(path)
        if path.exists() and found != settings:
            raise ValueError(
                f"{path} was made with other settings ({_other(path, cfg)}): give another name= "
                "or output_dir=, or delete it"
            )
    if not files.background.exists():
        _write(files.background, cfg, settings, ((s.start, s.strain) for s in noise(cfg, KINDS[0])))
    if not (files.foreground.exists() and files.injections.exists()):
        tables: list[dict[str, np.ndarray]] = []
        segments = _injected(cfg, noise(cfg, KINDS[1]), tables)
        _write(files.foreground, cfg, settings, segments)
        _write_tables(files, cfg, settings, tables)
    return files


def _other(path: Path, cfg: CampaignConfig) -> str:
    before = settings_of(path, SETTINGS_TEXT)
    if before is None:
        return "which ones it does not say"
    return first_difference(before, settings_text(cfg))


def _injected(
    cfg: CampaignConfig, segments: Iterator[NoiseSegment], tables: list[dict[str, np.ndarray]]
) -> Iterator[tuple[int, Mapping[str, Float[np.ndarray, "time"]]]]:
    """Yield segments with signals; what was injected is appended to `tables`."""
    data, rate = cfg.data, cfg.data.sample_rate_hz
    injector = Injector(data.signals, data.detectors, rate, data.band_hz)
    for number, (start, noise, curves) in enumerate(segments):
        rng = np.random.default_rng([cfg.seed, zlib.crc32(b"arrivals"), number])
        samples = next(iter(noise.values())).size
        gps = arrival_times(rng, start, start + samples / rate, cfg.injections)
        if not gps.size:
            yield start, noise
            continue
        key = jax.random.fold_in(stream(cfg.seed, "injections"), number)
        sources = {
            name: np.asarray(values, np.float64)
            for name, values in draw(key, data.signals.population, gps.size).items()
        }
        signals, snr = injector.inject(sources, gps, start, samples, curves)
        tables.append(to_table(sources, gps) | _loudness(data.detectors, snr))
        yield start, {name: noise[name] + signals[name] for name in noise}


def _loudness(detectors: Sequence[str], snr: Float[np.ndarray, "n detector"]) -> Table:
    each = {f"optimal_snr_{name}": snr[:, i] for i, name in enumerate(detectors)}
    return each | {"network_snr": np.sqrt(np.sum(snr**2, axis=1))}


def _write(
    path: Path,
    cfg: CampaignConfig,
    settings: str,
    segments: Iterator[tuple[int, Mapping[str, Float[np.ndarray, "time"]]]],
) -> None:
    """Write a strain file, whole or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    total = 0.0
    with h5py.File(partial, "w") as file:
        for start, strain in segments:
            write_segment(file, start, cfg.data.sample_rate_hz, strain)
            total += next(iter(strain.values())).size / cfg.data.sample_rate_hz
        file.attrs.update(attributes(cfg, settings))
    partial.replace(path)
    log.info("%s: %.0f s of strain", path, total)


def _write_tables(
    files: CampaignFiles,
    cfg: CampaignConfig,
    settings: str,
    tables: Sequence[dict[str, np.ndarray]],
) -> None:
    if not tables:
        files.foreground.unlink()
        raise ValueError(
            f"no injection fits segments of {cfg.segment_seconds:g} s or less with "
            f"injections.edge_seconds={cfg.injections.edge_seconds:g}: lower it"
        )
    table = {name: np.concatenate([t[name] for t in tables]) for name in tables[0]}
    bounds = dict(zip(LIMITS, month_limits(cfg.data.signals.population), strict=True))
    uniform = uniform_in(cfg.data.signals.population, cfg.data.signals.approximant)
    signals = {"approximant": cfg.data.signals.approximant.value, UNIFORM_IN: uniform}
    write_injections(files.injections, table, attributes(cfg, settings) | signals | bounds)
    log.info("%s: %d injections", files.injections, table["tc"].size)
