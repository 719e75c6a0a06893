#!/usr/bin/env python
"""The W&B dashboard of this project: grouped panels, figures, tables, system metrics, sweeps.

    python scripts/wandb_report.py --entity NAME              # a saved view of the workspace
    python scripts/wandb_report.py --entity NAME --report --artifact NAME-detector
    python scripts/wandb_report.py --dry-run                  # JSON of what would be made

It is built through W&B's public package wandb-workspaces (pip install 'ligo-cpc-snn[wandb]') and
holds names only, no numbers: a run that is synced later is shown too. W&B adds no panels of its own
to it, so what runs write is named here: in a panel, or in NOT_DRAWN.
"""

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from typing import Any

from ligo_cpc_snn.confidential import hidden
from ligo_cpc_snn.config.schema import WandbConfig
from ligo_cpc_snn.training.wandb_panels import OTHER, SECTIONS

STEP = "step"
PARTS = ("encoder", "context", "heads", "bridge", "snn")
# Settings that the presets of conf/sweep vary, as W&B names them.
SWEPT = (
    "training.pretrain.learning_rate",
    "training.finetune.learning_rate",
    "training.optimiser.weight_decay",
    "model.encoder.features",
    "model.snn.widths",
    "model.bridge.threshold",
    "seed",
)
FOUND = "sensitivity/found"  # the number a sweep raises, config/sweep_objective.py
# Figures by section of the report; which of them a run has depends on its data.
FIGURES = {
    "Detection": ("efficiency", "roc", "scores"),
    "Event": ("event", "background"),
    "Data": ("qtransform", "psds", "population", "rejected", "glitches", "transients"),
    "Spikes": ("windows", "spike_rates"),
    "Training": ("losses", "progress", "cpc", "optimiser", "resources"),
}
GPUS = 8  # of one machine have a curve each, if there are so many
# What no panel draws, as patterns: it is in W&B's table of runs, and in the run comparer.
NOT_DRAWN = (
    "step|phase|status",
    r"sensitivity/(mean_auc|snr_50_at_.+)",
    r"spikes/rate_hz_snn_\d+",
    "throughput/seconds",
    "model/parameters",
    "operations/.+",
    "system/.+",  # the rest of what W&B measures, in the System tab of a run
)


def lines(title: str, *names: str, splits: Sequence[str] = ("train", "validation")) -> Any:
    """Return a panel of curves against the training step; `*` in a name stands for the split."""
    import wandb_workspaces.reports.v2 as wr

    metrics = [name.replace("*", split) for name in names for split in splits]
    return wr.LinePlot(title=title, x=STEP, y=list(dict.fromkeys(metrics)))


def matching(title: str, pattern: str) -> Any:
    """Return a panel of all curves whose whole name matches a regular expression."""
    import wandb_workspaces.reports.v2 as wr

    return wr.LinePlot(title=title, x=STEP, metric_regex=f"^{pattern}$")


def table(name: str) -> Any:
    """Return a panel of a table that runs log at their end."""
    import wandb_workspaces.reports.v2 as wr

    return wr.WeavePanelSummaryTable(table_name=name)


def panels() -> dict[str, list[Any]]:
    """Return the panels of each section of metrics, in the order they are shown."""
    gradients = [f"gradients/*/{part}" for part in (*PARTS, "total")]
    return {
        "loss": [
            lines("loss, whole", "loss/*/total", splits=("train",)),
            *(lines(f"loss, {x}", f"loss/*/{x}") for x in ("detection", "infonce")),
        ],
        "cpc": [lines(f"contrastive {x}", f"cpc/*/{x}") for x in ("accuracy", "spread")],
        "gradients": [
            lines("gradient norm", *gradients, splits=("train",)),
            lines("learning rate", "gradients/*/learning_rate", splits=("train",)),
        ],
        "spikes": [
            lines("bridge, spikes per channel and frame", "spikes/*/bridge"),
            matching("layers, spikes per neuron and frame", r"spikes/(train|validation)/snn_\d+"),
            lines("bridge silent or saturated: 1", "spikes/*/bridge_fault", splits=("train",)),
            table("spikes/layers"),
        ],
        "data": [lines("network SNR shown", "data/*/snr", splits=("train",))],
        "throughput": [
            lines("windows per second", "throughput/*/examples_per_second", splits=("train",))
        ],
        "memory": [lines("peak, GB", "memory/*/peak_memory_gb", splits=("train",))],
        "sensitivity": [
            lines("area under the curve", "sensitivity/*/auc", splits=("validation",)),
            lines("accuracy", "sensitivity/*/accuracy"),
            lines("what checkpoints are ranked by", "sensitivity/*/score", splits=("validation",)),
            table("sensitivity/efficiency"),
            table("sensitivity/auc_by_snr"),
        ],
        "figures": [gallery(*section) for section in FIGURES.items()],
    }


def gallery(title: str, names: Sequence[str]) -> Any:
    """Return a panel of figures that runs log at their end."""
    import wandb_workspaces.reports.v2 as wr

    keys = [f"figures/{name}" for name in names]
    return wr.MediaBrowser(title=title, num_columns=2, media_keys=keys)


def system() -> list[Any]:
    """Return panels of what W&B itself measures of the machine, against seconds."""
    import wandb_workspaces.reports.v2 as wr

    names = {
        "processor, %": ["cpu"],
        "threads of the process": ["proc.cpu.threads"],
        "memory of the process and available, MB": ["proc.memory.rssMB", "proc.memory.availableMB"],
        "memory of the process and in use, %": ["proc.memory.percent", "memory_percent"],
        "network, bytes": ["network.sent", "network.recv"],
        "disk in use, %": ["disk./.usagePercent"],
        "GPU, %": [f"gpu.{i}.gpu" for i in range(GPUS)],
        "GPU memory, %": [f"gpu.{i}.memoryAllocated" for i in range(GPUS)],
        "GPU power, W": [f"gpu.{i}.powerWatts" for i in range(GPUS)],
    }
    return [
        wr.LinePlot(title=title, x="_runtime", y=[f"system/{key}" for key in keys])
        for title, keys in names.items()
    ]


def sweep() -> list[Any]:
    """Return panels that compare the runs of a sweep by what they find."""
    import wandb_workspaces.reports.v2 as wr

    found = wr.SummaryMetric(FOUND)
    columns = [wr.ParallelCoordinatesPlotColumn(wr.Config(name)) for name in SWEPT]
    last = wr.ParallelCoordinatesPlotColumn(found, display_name="fraction of signals found")
    rate = wr.Config("training.finetune.learning_rate")
    spikes = wr.SummaryMetric("spikes/rate_hz_bridge")
    return [
        wr.ParallelCoordinatesPlot(columns=[*columns, last], title="settings and signals found"),
        wr.ParameterImportancePlot(with_respect_to=FOUND),
        wr.ScatterPlot(title="learning rate", x=rate, y=found, log_x=True),
        wr.ScatterPlot(title="spikes against signals found", x=spikes, y=found),
        wr.RunComparer(diff_only=True),
    ]


def sections() -> dict[str, list[Any]]:
    """Return all sections: those of the metrics, of unforeseen ones, the system's, a sweep's."""
    shown = panels()
    assert list(shown) == list(SECTIONS)  # what runs log has its section here
    other = matching("without a section", f"{OTHER}/.+")
    return {**shown, OTHER: [other], "system": system(), "sweep": sweep()}


def dashboard(entity: str, project: str, group: str | None) -> Any:
    """Return the workspace: a view of all runs of the project, or of one group."""
    import wandb_workspaces.workspaces as ws

    chosen = [ws.Metric("group") == group] if group else []
    return ws.Workspace(
        name=f"ligo_cpc_snn: {group}" if group else "ligo_cpc_snn",
        entity=entity,
        project=project,
        sections=[
            ws.Section(name=name, panels=content, is_open=name in ("loss", "sensitivity"))
            for name, content in sections().items()
        ],
        settings=ws.WorkspaceSettings(x_axis=STEP, group_by_prefix="first"),
        runset_settings=ws.RunsetSettings(filters=chosen),
    )


def report(entity: str, project: str, artifact: str | None) -> Any:
    """Return a report: the same sections with words, and the lineage of an artifact."""
    import wandb_workspaces.reports.v2 as wr

    blocks: list[Any] = [wr.TableOfContents()]
    for name, content in sections().items():
        runs = wr.Runset(entity=entity, project=project)
        blocks += [wr.H2(name), wr.P(SECTIONS.get(name, name))]
        blocks.append(wr.PanelGrid(runsets=[runs], panels=content))
    if artifact:
        lineage = wr.WeaveBlockArtifact(entity, project, artifact, "lineage")
        blocks += [wr.H2("lineage"), wr.P("from banks to detector"), lineage]
    return wr.Report(project=project, entity=entity, title="ligo_cpc_snn", blocks=blocks)


def plain(built: Any) -> dict[str, Any]:
    """Return what would be made as plain values; places and identifiers are W&B's own."""
    shown: dict[str, Any] = _shown(built)
    return shown


def _shown(tree: Any) -> Any:
    if dataclasses.is_dataclass(tree):
        left = ("layout", "layout_settings", "panel_settings")
        names = [x.name for x in dataclasses.fields(tree)]
        kept = {k: getattr(tree, k) for k in names if not k.startswith("_") and k not in left}
        values = {k: _shown(v) for k, v in kept.items() if v not in (None, (None, None))}
        return {"kind": type(tree).__name__, **values}
    if isinstance(tree, dict):
        return {str(k): _shown(v) for k, v in tree.items()}
    return [_shown(x) for x in tree] if isinstance(tree, list | tuple) else tree


def main(arguments: Sequence[str] | None = None) -> int:
    """Build the dashboard or the report and save it, or print it."""
    options = parse(arguments)
    try:
        if options.report:
            built = report(options.entity, options.project, options.artifact)
        else:
            built = dashboard(options.entity, options.project, options.group)
        if options.dry_run:
            print(json.dumps(plain(built), indent=1))
            return 0
        built.save()
    except ImportError as error:
        print(f"error: {error}: pip install 'ligo-cpc-snn[wandb]'", file=sys.stderr)
        return 1
    except Exception as error:  # W&B's own, of many kinds
        why = hidden(" ".join(str(error).split())[:300])
        remedy = "`wandb login` first, --entity and --project must exist; --dry-run needs neither"
        print(f"error: W&B took it not ({type(error).__name__}: {why}): {remedy}", file=sys.stderr)
        return 1
    print(built.url)
    return 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--entity", default="", help="W&B user or team")
    parser.add_argument("--project", default=WandbConfig().project)
    parser.add_argument("--group", help="show the runs of one group, such as a sweep's, only")
    parser.add_argument("--report", action="store_true", help="make a report, not a workspace view")
    parser.add_argument("--artifact", help="of the report: whose lineage is drawn")
    parser.add_argument("--dry-run", action="store_true", help="print JSON, save nothing")
    options = parser.parse_args(arguments)
    if not (options.entity or options.dry_run):
        parser.error("--entity is missing: the W&B user or team that owns the project")
    return options


if __name__ == "__main__":
    sys.exit(main())
