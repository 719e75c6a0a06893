"""Profile a run or a search: its own code, with an observer of its stages."""

import json
import logging
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

from ligo_cpc_snn.config.save import plain
from ligo_cpc_snn.config.schema import Config, Resume, TrainingConfig, WandbMode
from ligo_cpc_snn.config.search_schema import SearchConfig
from ligo_cpc_snn.reports.profile_page import write_profile_report
from ligo_cpc_snn.runtime.devices import describe_device, peak_memory_bytes
from ligo_cpc_snn.runtime.profiling import Recorder
from ligo_cpc_snn.runtime.profiling_programs import Programs
from ligo_cpc_snn.runtime.profiling_trace import read_events, summarise, trace_file
from ligo_cpc_snn.stages import observed_by
from ligo_cpc_snn.strain.replacing import write_whole
from ligo_cpc_snn.training.phases import active_phases
from ligo_cpc_snn.wiring.profile_forecast import forecast
from ligo_cpc_snn.wiring.profile_table import print_stages

log = logging.getLogger(__name__)

RECORD, PROFILED, TRACE = "profile.json", "profiled", "trace"  # in the folder of a profile
MARK = ".ligo-profile"  # in a folder that a later profile may empty
PACKAGES = ("ligo-cpc-snn", "jax", "jaxlib", "flax", "optax", "spyx")


def profile_run(cfg: Config, folder: Path, cache_dir: Path, *, steps: int, traced: int) -> int:
    """Run a config with few steps, and write where time and memory went.

    Args:
        cfg: as it would be trained.
        folder: of the profile; the shortened run is in its `profiled/`.
        cache_dir: where downloads are kept.
        steps: updates of each phase, at most.
        traced: calls of the last phase's step that the trace holds.

    Returns:
        The exit code of the run.
    """
    from ligo_cpc_snn.wiring.session import run_session

    short = shortened(cfg, _emptied(folder / PROFILED), steps)
    last = list(active_phases(short.training))[-1]

    def is_traced(name: str) -> bool:
        return name.startswith(f"{last}:") and "step" in name

    def work() -> int:
        return run_session(short, Path(short.run_dir), cache_dir)

    record, code = _recorded("run", folder, is_traced, traced, work)
    if code:
        return code  # asked to stop: what was measured is no profile
    record["forecast"] = forecast(cfg, short, record)
    record["settings"] = plain(cfg) | {"steps_profiled": steps}
    _conclude(folder, cfg.name, record)
    return code


def profile_search(cfg: SearchConfig, folder: Path, cache_dir: Path, *, traced: int) -> int:
    """Run a search anew, and write where time and memory went; its results are in `profiled/`."""
    from ligo_cpc_snn.wiring.search import run_search

    output = _emptied(folder / PROFILED)  # a search that is done already would only be read
    record, code = _recorded(
        "search",
        folder,
        lambda name: name.startswith("network"),
        traced,
        lambda: run_search(replace(cfg, output_dir=str(output)), output, cache_dir),
    )
    record["engine"] = json.loads((output / "search.json").read_text())["machine"]["engine"]
    record["settings"] = plain(cfg)
    _conclude(folder, cfg.name, record)
    return code


def shortened(cfg: Config, run_dir: str | Path, steps: int) -> Config:
    """Return a config of few steps in a folder of its own, told to nobody."""
    phases = {
        name: replace(phase, steps=min(phase.steps, steps))
        for name, phase in active_phases(cfg.training).items()
    }
    training: TrainingConfig = replace(cfg.training, **phases)  # type: ignore[arg-type]
    wandb = replace(cfg.trackers.wandb, mode=WandbMode.disabled)
    return replace(
        cfg,
        run_dir=str(run_dir),
        resume=Resume.never,
        training=training,
        trackers=replace(cfg.trackers, wandb=wandb),
    )


def _emptied(folder: Path) -> Path:
    """Return a folder of this module's own names without what an earlier profile left there.

    Raises:
        FileExistsError: there is one that no profile has made.
    """
    if folder.exists():
        if any(folder.iterdir()) and not (folder / MARK).exists():
            raise FileExistsError(f"{folder} is not of an earlier profile: give another --to DIR")
        shutil.rmtree(folder)
    folder.mkdir()
    (folder / MARK).touch()
    return folder


def _recorded(
    kind: str, folder: Path, is_traced: Callable[[str], bool], traced: int, work: Callable[[], int]
) -> tuple[dict[str, Any], int]:
    """Do the work under a recorder, and return what it measured with the work's exit code."""
    trace = _emptied(folder / TRACE)
    recorder = Recorder(Programs(trace, is_traced, traced))
    with recorder, observed_by(recorder), recorder.stage(kind):
        code = work()
    return {
        "kind": kind,
        **recorder.to_dict(),
        "trace": _read_trace(recorder.programs, trace),
        "peak_memory_bytes": peak_memory_bytes(),
        "warnings": recorder.sampler.warnings(),
        "machine": describe_device(),
        "versions": {name: metadata.version(name) for name in PACKAGES},
    }, code


def _read_trace(programs: Programs, folder: Path) -> dict[str, Any]:
    """Return what the report shows of the trace, or why there is none."""
    name = programs.traced_name
    file = trace_file(folder)
    if name is None or file is None:
        return {"missing": "no program ran often enough to be traced: give more --steps"}
    summary = summarise(read_events(file), name, programs.sources)
    return {"file": str(file.relative_to(folder.parent)), **summary}


def _conclude(folder: Path, name: str, record: Mapping[str, Any]) -> None:
    """Write the record and the page, and say the most important."""
    content = json.dumps({"name": name, **record}, indent=1, allow_nan=False)
    write_whole(folder / RECORD, content.encode("utf-8"))
    print_stages(record)
    for warning in record["warnings"]:
        log.warning(warning)
    log.info("report: %s", write_profile_report(folder))
