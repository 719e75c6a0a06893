"""A measurement of sensitivity from its settings to its page: make, search, score, show."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ligo_cpc_snn.config.campaign_schema import CampaignConfig
from ligo_cpc_snn.config.data_schema import Source
from ligo_cpc_snn.config.save import plain
from ligo_cpc_snn.dataset.load import known_events_of, read_strain_of
from ligo_cpc_snn.dataset.recorded import event_span, parse_span
from ligo_cpc_snn.dataset.splits import Set, by_set, cut_between_sets
from ligo_cpc_snn.evaluation.backgrounds import KINDS, NoiseSegment, simulated_noise, slid_noise
from ligo_cpc_snn.evaluation.campaign import CampaignFiles, NoiseOf, make_campaign
from ligo_cpc_snn.evaluation.challenge import (
    Table,
    observed_seconds,
    read_events,
    read_injections,
    settings_of,
)
from ligo_cpc_snn.evaluation.matching import alarms_allowed
from ligo_cpc_snn.evaluation.metrics import UnresolvedRateError
from ligo_cpc_snn.evaluation.scoring import Score, injection_arrays, score
from ligo_cpc_snn.evaluation.sensitivity import LIMITS, sensitivity, volume_shares
from ligo_cpc_snn.reports.sensitivity_page import write_sensitivity_report
from ligo_cpc_snn.strain.coincidence import Coincident, common_time
from ligo_cpc_snn.strain.resampling import resample_all
from ligo_cpc_snn.strain.segments import cut_spans, without_dropouts
from ligo_cpc_snn.wiring.campaign_asked import asked_of
from ligo_cpc_snn.wiring.campaign_caveats import caveats_of
from ligo_cpc_snn.wiring.campaign_searches import Done, run_searches
from ligo_cpc_snn.wiring.finish import versions

log = logging.getLogger(__name__)

STEPS = (7.0, 7.5, 8.0, 9.0, 10.0)  # optimal network SNRs, for reference


def run_campaign(cfg: CampaignConfig, folder: Path, cache_dir: Path) -> int:
    """Measure the searches that are asked for; what is there already is not done again.

    Args:
        cfg: The settings.
        folder: For files, events, scores and page; it exists.
        cache_dir: Of downloads.
    """
    asked = asked_of(cfg)
    caveats = caveats_of(cfg, asked.searches)
    for text in caveats:
        log.warning(text)
    if not cfg.searches and not cfg.events:
        log.warning("no search is asked for, files alone are made: give searches=[bbh_gaussian]")
    else:
        _tell_unresolved(cfg)
    files = make_campaign(cfg, folder, _noise_of(cfg, cache_dir))
    strain = {kind: getattr(files, kind) for kind in KINDS}
    given = [Done(name, path, {}) for name, path in asked.events.items()]
    scored: dict[str, Score] = {}
    for done in [*run_searches(asked.searches, cfg, folder, strain, cache_dir), *given]:
        seconds = background_seconds(cfg, done, files)
        reached = score_folder(done.events, files, cfg.false_alarm_rates_per_month, seconds)
        analysed = {kind: told["analysed_seconds"] for kind, told in done.said.items()}
        about = {"runs": done.said, "analysed_seconds": analysed, "slides": done.slides}
        scored[done.name] = reached._replace(summary=reached.summary | about)
        _log_score(done.name, reached)
    save_scores(cfg, folder, files, scored, caveats)
    if cfg.report:
        log.info("report: %s", write_sensitivity_report(folder))
    return 0


def _tell_unresolved(cfg: CampaignConfig) -> None:
    """Say before hours are spent which rates of false alarms the background cannot resolve.

    Raises:
        UnresolvedRateError: none of them.
    """
    errors = []
    for per_month in cfg.false_alarm_rates_per_month:
        try:
            alarms_allowed(cfg.background_seconds, per_month)
        except UnresolvedRateError as error:
            errors.append(error)
    if errors and len(errors) == len(cfg.false_alarm_rates_per_month):
        raise errors[-1]
    for unresolved in errors:
        log.warning("%s", unresolved)


def background_seconds(cfg: CampaignConfig, done: Done, files: CampaignFiles) -> float:
    """Return the time that false alarms of a search are counted in.

    Of recorded noise, in many short pieces, it is what the search analysed of it, where that is
    known; of simulated noise all of it, as the challenge counts.
    """
    told = done.said.get(KINDS[0], {})
    if cfg.data.source is Source.real and "analysed_seconds" in told:
        return float(told["analysed_seconds"])
    return observed_seconds(files.background)


def score_folder(
    events: Path, files: CampaignFiles, per_month: list[float], seconds: float
) -> Score:
    """Score the events background.hdf and foreground.hdf of a folder; `seconds` of background."""
    table, attributes = read_injections(files.injections)
    foreground, background = (
        read_events(events / f"{k}.hdf") for k in ("foreground", "background")
    )
    return score(foreground, background, seconds, table, attributes, per_month)


def save_scores(
    cfg: CampaignConfig,
    folder: Path,
    files: CampaignFiles,
    scored: dict[str, Score],
    caveats: list[str],
) -> None:
    """Write sensitivity.json and sensitivity.npz."""
    table, attributes = read_injections(files.injections)
    summary = {
        "name": cfg.name,
        "published": cfg.published,
        "caveats": caveats,
        "settings_hash": settings_of(files.injections),
        "injections": int(table["tc"].size),
        "background_seconds": observed_seconds(files.background),
        "foreground_seconds": observed_seconds(files.foreground),
        "optimal": optimal_steps(table, attributes),
        "searches": {name: reached.summary for name, reached in scored.items()},
        "versions": versions(),
        "config": plain(cfg),
    }
    arrays: dict[str, Any] = {
        f"injections/{name}": a for name, a in injection_arrays(table).items()
    }
    for number, result in enumerate(scored.values()):
        arrays |= {f"search_{number}/{name}": a for name, a in result.arrays.items()}
    partial_file = folder / "sensitivity.partial.npz"
    np.savez_compressed(partial_file, **arrays)
    partial_file.replace(folder / "sensitivity.npz")
    text = json.dumps(summary, indent=2, allow_nan=False)
    (folder / "sensitivity.json.partial").write_text(text, encoding="utf-8")
    (folder / "sensitivity.json.partial").replace(folder / "sensitivity.json")


def optimal_steps(table: Table, attributes: dict[str, Any]) -> list[dict[str, float]]:
    """Return the distances of searches that find all above an optimal network SNR."""
    if "network_snr" not in table:
        return []
    known = all(name in attributes for name in LIMITS)
    shares = volume_shares(table, attributes, of_month=known)
    reached = [(snr, sensitivity(table["network_snr"] > snr, shares)) for snr in STEPS]
    return [
        {"snr": snr, "distance": r.distance, "distance_error": r.distance_error}
        for snr, r in reached
        if r.found
    ]


def _noise_of(cfg: CampaignConfig, cache_dir: Path) -> NoiseOf:
    if cfg.data.source is Source.synthetic:
        return simulated_noise

    parts: list[Coincident] = []

    def slid(settings: CampaignConfig, kind: str) -> Iterator[NoiseSegment]:
        if not parts:  # read when they are needed, and once
            parts.extend(recorded_parts(settings, cache_dir))
        return slid_noise(parts, settings, kind)

    return slid


def recorded_parts(cfg: CampaignConfig, cache_dir: Path) -> list[Coincident]:
    """Return recorded strain of the sets asked for, without events, at the campaign's rate."""
    data = cfg.data
    held_out = [parse_span(text) for text in data.real.exclude_gps]
    segments = cut_spans(read_strain_of(data, cache_dir), held_out)
    segments = cut_between_sets(without_dropouts(segments), data.real)
    segments = resample_all(segments, data.sample_rate_hz, data.band_hz[1])
    known = known_events_of(data, cache_dir)
    events = [event_span(name, gps, data) for name, gps in known.items()]
    sets = by_set(segments, data.real)
    chosen = [s for name in cfg.noise_sets for s in cut_spans(sets[Set(name)], events)]
    parts = common_time(chosen, data.detectors, data.real.minimum_seconds)
    if len(parts) < 2:
        raise ValueError(
            f"noise_sets={cfg.noise_sets}: {len(parts)} stretches of recorded strain of "
            f"data.real.minimum_seconds={data.real.minimum_seconds:g} s or more: expected two to "
            "slide against each other, name more sets or give more strain"
        )
    seconds = sum(part[data.detectors[0]].duration for part in parts)
    log.info("%d stretches of recorded strain, %.0f s", len(parts), seconds)
    return parts


def _log_score(name: str, result: Score) -> None:
    for rate in result.summary["rates"]:
        log.info(
            "%s: %.0f +- %.0f Mpc at %g false alarms a month, %d of %d found",
            name,
            rate["distance"],
            rate["distance_error"] or 0.0,
            rate["false_alarms"]["asked_per_month"],
            rate["found"],
            rate["injections"],
        )
    for reason in result.summary["refused"].values():
        log.warning("%s: %s", name, reason)
