"""Where a run's noise comes from, by its configuration: simulated, files, or GWOSC."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from ligo_cpc_snn.config.data_schema import DataConfig, Source
from ligo_cpc_snn.config.schema import EventConfig
from ligo_cpc_snn.dataset.noise import (
    NoiseBlock,
    estimated_filters,
    synthetic_noise,
    whiten_segment,
)
from ligo_cpc_snn.dataset.plan import BankPlan, check_host, plan_banks, plan_synthetic
from ligo_cpc_snn.dataset.psds import Psds, record_psds
from ligo_cpc_snn.dataset.recorded import RecordedNoise, real_noise
from ligo_cpc_snn.dataset.rejection import Quality
from ligo_cpc_snn.stages import stage
from ligo_cpc_snn.strain.coincidence import Coincident, coincident, common_time
from ligo_cpc_snn.strain.files import folder_events, read_folder
from ligo_cpc_snn.strain.gwosc import fetch_strain, known_events, read_events_csv
from ligo_cpc_snn.strain.resampling import resample_all
from ligo_cpc_snn.strain.segments import StrainSegment, cut_spans, without_dropouts

log = logging.getLogger(__name__)


class Noise(NamedTuple):
    """Whitened noise to train, validate and test on, what the banks will take, and records.

    `test` is empty unless `data.real.test_fraction` asks for it. `quality` judges recorded
    noise, `psds` are the densities that the training noise was whitened with.
    """

    training: list[NoiseBlock]
    validation: list[NoiseBlock]
    test: list[NoiseBlock]
    plan: BankPlan
    quality: Quality | None
    psds: Psds | None


@stage("noise")
def load_noise(
    data: DataConfig,
    *,
    seed: int,
    cache_dir: Path,
    budget_bytes: int,
    host_bytes: int | None = None,
) -> Noise:
    """Make or read the noise of a run, and check that the banks will fit.

    Args:
        data: source and conditioning.
        seed: of simulated noise.
        cache_dir: where downloads are kept.
        budget_bytes: for the banks.
        host_bytes: for noise and banks on the host, if its memory is not the device's.

    Raises:
        BankError: the banks do not fit, before they are made.
        StrainFileError, GwoscError, FileNotFoundError: strain cannot be had.
        ValueError: a set has no noise (see `real_noise`).
    """
    if data.source is Source.synthetic:
        plan = plan_synthetic(data)
        plan.check(budget_bytes)
        check_host(plan, data, host_bytes)
        training = synthetic_noise(data, data.synthetic.seconds, seed, "train")
        held_out = synthetic_noise(data, data.synthetic.validation_seconds, seed, "validation")
        made = RecordedNoise(training, held_out, [], None)
    else:
        segments = read_strain_of(data, cache_dir)
        made = real_noise(segments, data, _events_left_out(data, cache_dir), seed)
        plan = plan_banks(data, made.training, made.validation)
        plan.check(budget_bytes)
        check_host(plan, data, host_bytes)
    psds = record_psds([block.filters for block in made.training], data.detectors)
    return Noise(made.training, made.validation, made.test, plan, made.quality, psds)


def read_strain_of(data: DataConfig, cache_dir: Path) -> list[StrainSegment]:
    """Read the configured strain: from files, otherwise from GWOSC."""
    if data.strain_dir is not None:
        return read_folder(data.strain_dir, data.detectors, data.real.exclude_files)
    return fetch_strain(data.gwosc, data.detectors, cache_dir)


class EventStrain(NamedTuple):
    """Whitened coincident strain around an event, and the strain it was made of."""

    stretch: Coincident
    gps: float
    recorded: Coincident


def load_event(data: DataConfig, event: EventConfig, cache_dir: Path) -> EventStrain:
    """Read and whiten the strain around an event, with the PSD of that strain itself.

    Returns:
        `event.seconds` around the event, or what is left of them where the strain at hand
        ends: the whitening filter's edge is lost there.

    Raises:
        ValueError: there is no coincident strain at the event.
    """
    assert event.name is not None
    assert event.gps is not None
    if data.strain_dir is None:
        seconds = max(data.real.psd_seconds, event.seconds + data.filter_seconds)
        gwosc = replace(data.gwosc, events=[event.name], event_seconds=seconds)
        data = replace(data, gwosc=replace(gwosc, start=None, end=None, hours=None, run=None))
    usable = without_dropouts(read_strain_of(data, cache_dir))
    segments = resample_all(usable, data.sample_rate_hz, data.band_hz[1])
    half, far = event.seconds / 2, data.real.psd_seconds / 2
    near = _keep(segments, event.gps - far, event.gps + far)
    parts = [p for p in coincident(near, data.detectors) if _holds(p, event.gps)]
    if not parts:
        raise ValueError(
            f"event {event.name}: no coincident strain of {', '.join(data.detectors)} at GPS "
            f"{event.gps}: add files to data.strain_dir={data.strain_dir}"
        )
    filters = estimated_filters(parts[0], data, data.detectors)
    whitened = [
        whiten_segment(parts[0][name], whitening)
        for name, whitening in zip(data.detectors, filters, strict=True)
    ]
    shown = _keep(whitened, event.gps - half, event.gps + half)
    stretch = next((p for p in common_time(shown, data.detectors) if _holds(p, event.gps)), None)
    if stretch is None:
        raise ValueError(
            f"event {event.name}: GPS {event.gps} lies within half of data.filter_seconds="
            f"{data.filter_seconds} of an end of its strain, {_ends(parts[0])}, where whitening "
            "loses it: give strain further around the event, or lower data.filter_seconds"
        )
    return EventStrain(stretch, event.gps, parts[0])


def without_event(data: DataConfig, event: EventConfig) -> DataConfig:
    """Return settings of noise that holds nothing of the strain that an event is looked for in.

    That is `event.seconds` around it and, at each end, half of the whitening filter.
    """
    if event.name is None or event.gps is None:
        return data
    far = (event.seconds + data.filter_seconds) / 2
    spans = [*data.real.exclude_gps, f"{event.gps - far!r}-{event.gps + far!r}"]
    return replace(data, real=replace(data.real, exclude_gps=spans))


def _keep(segments: Sequence[StrainSegment], start: float, end: float) -> list[StrainSegment]:
    return cut_spans(segments, [(0.0, start), (end, float("inf"))]) if segments else []


def _ends(part: Coincident) -> str:
    first = next(iter(part.values()))
    return f"GPS {first.gps_start:.3f} to {first.gps_end:.3f}"


def _holds(part: Coincident, gps: float) -> bool:
    return all(s.gps_start <= gps < s.gps_end for s in part.values())


def known_events_of(data: DataConfig, cache_dir: Path) -> dict[str, float]:
    """Return known events, name and GPS time in s: of a catalogue, of the files, of GWOSC."""
    events: dict[str, float] = {}
    if data.real.events_file is not None:
        events |= read_events_csv(data.real.events_file)
    if data.strain_dir is not None:
        events |= folder_events(data.strain_dir, data.real.exclude_files)
    elif not (data.gwosc.offline and events):
        events |= known_events(data.gwosc, cache_dir)
    return events


def _events_left_out(data: DataConfig, cache_dir: Path) -> dict[str, float]:
    """Return the known events, and say where they are but those that files name."""
    events = known_events_of(data, cache_dir)
    if data.real.events_file is None and data.strain_dir is not None:
        log.warning(
            "no catalogue of events: only those that the files themselves name (%d) are left out "
            "of the noise; give data.real.events_file",
            len(events),
        )
    return events
