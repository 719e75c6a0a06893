"""One search: from strain to a folder of ranked triggers and a report page."""

import logging
import math
import os
import platform
import shlex
import sys
from importlib import metadata
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ligo_cpc_snn.config.command_line import program
from ligo_cpc_snn.config.model_schema import DetectorFusion
from ligo_cpc_snn.config.runtime_schema import Precision
from ligo_cpc_snn.config.save import plain
from ligo_cpc_snn.config.search_schema import SearchConfig
from ligo_cpc_snn.runtime.devices import describe_device, memory_room_bytes
from ligo_cpc_snn.search import outputs
from ligo_cpc_snn.search.catalogue import KnownEvents, events_in, find_events, with_events
from ligo_cpc_snn.search.engine import Engine
from ligo_cpc_snn.search.inputs import Plan, Wanted, opened
from ligo_cpc_snn.search.outputs import TriggerTable
from ligo_cpc_snn.search.record import (
    BackgroundRecord,
    SearchRecord,
    detector_facts,
    write_record,
)
from ligo_cpc_snn.search.side_by_side import warm_up_frames
from ligo_cpc_snn.search.trained import TrainedDetector
from ligo_cpc_snn.search.weights import load_detector
from ligo_cpc_snn.search.whitened import filter_half
from ligo_cpc_snn.wiring.candidates import loudest, write_candidates
from ligo_cpc_snn.wiring.choices import prepared_search
from ligo_cpc_snn.wiring.search_around import Surroundings
from ligo_cpc_snn.wiring.search_identity import identity_of, refuse_other
from ligo_cpc_snn.wiring.search_progress import SETTINGS, Progress, begun, fingerprint
from ligo_cpc_snn.wiring.search_ranking import Ranked, rank
from ligo_cpc_snn.wiring.search_split import adopt_parts, own_groups
from ligo_cpc_snn.wiring.search_split_folders import PARTS
from ligo_cpc_snn.wiring.search_stretches import Found, groups_of, search_plan, spans_of

log = logging.getLogger(__name__)

PACKAGES = ("ligo-cpc-snn", "jax", "jaxlib", "flax", "spyx", "numpy", "scipy", "h5py", "gwpy")
SHOWN = 5  # triggers, at the end


def run_search(cfg: SearchConfig, output_dir: Path, cache_dir: Path) -> int:
    """Search strain and write what was found; what was done before is not done again.

    Args:
        cfg: with strain to search.
        output_dir: of the results; it exists.
        cache_dir: where downloads are kept.

    Returns:
        The exit code, 0.

    Raises:
        UserError, OSError, ValueError: as the parts say, in one line.
    """
    loaded = load_detector(cfg.detector)
    refuse_other(output_dir, identity_of(cfg, loaded))
    cfg, detector, _ = prepared_search(cfg, loaded, _begun(output_dir))
    progress = Progress(output_dir / "progress", settings_of(cfg, detector))
    adopt_parts(progress, output_dir)
    if detector.caution:
        log.warning("%s: %s", detector.name, detector.caution)
    with opened(cfg.strain, wanted_of(cfg, detector), cache_dir) as plan:
        announce(plan)
        engine = engine_of(cfg, detector)
        progress.require_space(_kept_bytes(cfg, plan, engine))
        found = search_plan(plan, engine, progress)
        events = find_events(cfg.events_file, cfg.strain.gwosc, cache_dir, ask=not cfg.strain.files)
        ranked = rank(cfg, detector, plan, found.parts, progress, events.gps)
        ranked = ranked._replace(table=with_events(ranked.table, events))
        record = _record(cfg, detector, plan, found, ranked, events)
        write_outputs(output_dir, cfg, detector, found, ranked, record)
        write_candidates(
            output_dir / outputs.CANDIDATES,
            ranked.table,
            Surroundings(plan, detector, cfg.psd_seconds, found.parts).around,
            time_offset_seconds=detector.time_offset_seconds,
            band_hz=detector.band_hz,
        )
    if cfg.report:
        # Imported late: drawing needs seconds to be imported, and strain need not wait for it.
        from ligo_cpc_snn.reports.search_page import write_search_report

        log.info("report: %s", write_search_report(output_dir))
    _conclude(output_dir, found, ranked, progress)
    return 0


def search_part(cfg: SearchConfig, folder: Path, cache_dir: Path) -> int:
    """Search a part of the strain for a later search of all of it, and rank nothing.

    Args:
        cfg: with strain, and the part of it to search.
        folder: of the part; it exists.
        cache_dir: where downloads are kept.

    Returns:
        The exit code, 0.
    """
    loaded = load_detector(cfg.detector)
    refuse_other(Path(cfg.output_dir), identity_of(cfg, loaded))
    cfg, detector, _ = prepared_search(cfg, loaded, _begun(Path(cfg.output_dir)))
    assert cfg.part is not None
    progress = Progress(folder / "progress", settings_of(cfg, detector))
    with opened(cfg.strain, wanted_of(cfg, detector), cache_dir) as plan:
        engine = engine_of(cfg, detector)
        own = own_groups(groups_of(plan, engine.streams), cfg.part)
        if own:
            search_plan(plan, engine, progress, own)
    print(
        f"part {cfg.part}: {len(own)} groups of strain are searched; when all parts are, the same "
        f"command without part= puts them together in {cfg.output_dir}"
    )
    return 0


def _begun(output_dir: Path) -> Path | None:
    """Return the settings of this search where a process, or a part of it, began before."""
    own = output_dir / "progress"
    if begun(own):
        return own / SETTINGS
    # Another process may have begun a part this very moment.
    return next(iter(sorted((output_dir / PARTS).glob(f"*-of-*/progress/{SETTINGS}"))), None)


def engine_of(cfg: SearchConfig, detector: TrainedDetector) -> Engine:
    """Return the engine of a search."""
    return Engine(
        detector,
        chunk_seconds=cfg.chunk_seconds,
        streams=cfg.streams,
        psd_seconds=cfg.psd_seconds,
        keep_features=cfg.background.slides > 0,
        budget_bytes=memory_room_bytes(cfg.runtime),
    )


def wanted_of(cfg: SearchConfig, detector: TrainedDetector) -> Wanted:
    """Return what a detector asks of strain."""
    lost = 2 * filter_half(detector) / detector.sample_rate_hz
    lost += warm_up_frames(detector) * detector.frame_seconds
    least = max(cfg.minimum_seconds, lost + detector.frame_seconds)
    return Wanted(
        detector.detectors,
        detector.band_hz[1],
        max(least, 2 * detector.psd_segment_seconds),
        max(cfg.stretch_seconds, 2 * lost + 1),
        lost,
    )


def _kept_bytes(cfg: SearchConfig, plan: Plan, engine: Engine) -> int:
    """Return what a search keeps in progress/: statistic, features or whitened strain."""
    detector = engine.detector
    frame = 12 * 8 + engine.feature_bits()  # times and values are 12 bytes
    joint = detector.model.encoder.detectors is DetectorFusion.joint
    if joint and cfg.background.slides:
        frame += 32 * len(detector.detectors) * detector.frame_samples
    return round(plan.seconds / detector.frame_seconds * frame / 8)


def settings_of(cfg: SearchConfig, detector: TrainedDetector) -> dict[str, object]:
    """Return what decides the statistic, down to its last bit, beside the strain."""
    precision = detector.kernels.precision
    rounded = {} if precision is Precision.float32 else {"precision": precision.value}
    return rounded | {
        "detector": detector.name,
        "weights": fingerprint(detector)[:16],
        "psd_seconds": cfg.psd_seconds,
        "chunk_seconds": cfg.chunk_seconds,
        "streams": cfg.streams,
        "minimum_seconds": cfg.minimum_seconds,
        "version": metadata.version("ligo-cpc-snn"),
    }


def announce(plan: Plan) -> None:
    """Say what will be searched, and what will not."""
    number = len(plan.stretches)
    log.info(
        "%s: %.0f s of %s in %d stretch%s to search",
        plan.source,
        plan.seconds,
        ", ".join(plan.wanted.detectors),
        number,
        "es" * (number > 1),
    )
    for reason in dict.fromkeys(span.reason for span in plan.left_out):
        seconds = sum(s.end - s.start for s in plan.left_out if s.reason == reason)
        log.info("left out: %.1f s, %s", seconds, reason)


def write_outputs(
    output_dir: Path,
    cfg: SearchConfig,
    detector: TrainedDetector,
    found: Found,
    ranked: Ranked,
    record: SearchRecord,
) -> None:
    """Write events, triggers, background and record."""
    outputs.write_events(output_dir / outputs.EVENTS, ranked.table, cfg.triggers.timing_seconds)
    outputs.write_triggers(
        output_dir / outputs.TRIGGERS_CSV,
        output_dir / outputs.TRIGGERS_HDF5,
        ranked.table,
        settings_of(cfg, detector) | {"threshold": ranked.threshold},
    )
    background = output_dir / outputs.BACKGROUND
    if ranked.background is None:
        background.unlink(missing_ok=True)
    else:
        outputs.write_background(
            background,
            ranked.background.statistic,
            seconds=ranked.background.seconds,
            slides=ranked.background.slides,
            zero_lag_seconds=analysed_seconds(detector, found),
        )
    write_record(output_dir / outputs.RECORD, record)


def analysed_seconds(detector: TrainedDetector, found: Found) -> float:
    """Return the time at zero lag, s."""
    return sum(part.gps.size for part in found.parts) * detector.frame_seconds


def _record(
    cfg: SearchConfig,
    detector: TrainedDetector,
    plan: Plan,
    found: Found,
    ranked: Ranked,
    events: KnownEvents,
) -> SearchRecord:
    background = ranked.background
    spans = spans_of(plan, found, detector.frame_seconds)
    return SearchRecord(
        name=cfg.name,
        detector=detector_facts(detector),
        source=plan.source,
        open_data=plan.open_data,
        spans=spans,
        seconds_read=found.throughput.strain_seconds,
        threshold=ranked.threshold,
        cluster_seconds=cfg.triggers.cluster_seconds,
        timing_seconds=cfg.triggers.timing_seconds,
        background=None
        if background is None
        else BackgroundRecord(
            background.slides,
            background.seconds,
            cfg.background.shift_seconds,
            cfg.background.extrapolate,
        ),
        wall_seconds=found.throughput.wall_seconds,
        cpu_seconds=found.throughput.cpu_seconds,
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1,
        catalogue=events.source,
        events=events_in(events, spans),
        files=[path.name for path in plan.files],
        warnings=ranked.warnings,
        command=f"{program()} {shlex.join(sys.argv[1:])}",
        versions={name: metadata.version(name) for name in PACKAGES}
        | {"python": platform.python_version()},
        machine={"device": describe_device(), "engine": found.throughput._asdict()},
        settings=plain(cfg),
        identity=identity_of(cfg, detector),
    )


def _conclude(output_dir: Path, found: Found, ranked: Ranked, progress: Progress) -> None:
    """Say how much was found and how fast, and show the loudest triggers."""
    speed = found.throughput
    log.info(
        "%.2f hours of strain per minute, %.0f times real time per core (compilation: %.1f s more)",
        speed.hours_per_minute,
        speed.times_real_time_per_core,
        speed.compile_seconds,
    )
    log.info("%s holds %.1f MB and may be deleted", progress.folder, progress.bytes / 1e6)
    count, threshold = ranked.table.time.size, ranked.threshold
    above = f" above {threshold:.4g}" if math.isfinite(threshold) else ""  # -inf: all of them
    print(f"{count} trigger{'s' * (count != 1)}{above} in {output_dir}")
    if ranked.table.time.size:
        Console(width=None if Console().is_terminal else 120).print(_loudest(ranked.table))


def _loudest(table: TriggerTable) -> Table:
    shown = Table("GPS time", "statistic", "FAR per year", "p-value", "nearest event", box=None)
    for row in loudest(table, SHOWN):
        offset = table.nearest_event_offset_seconds[row]
        near = f"{table.nearest_event[row]} ({offset:+.3f} s)" if table.nearest_event[row] else ""
        shown.add_row(
            f"{table.time[row]:.3f}",
            f"{table.statistic[row]:.3f}",
            f"{'< ' * bool(table.upper_limit[row])}{table.far_per_year[row]:.3g}",
            f"{table.p_value[row]:.3g}",
            near,
        )
    return shown
