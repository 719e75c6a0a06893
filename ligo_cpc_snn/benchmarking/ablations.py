"""Train variants of an experiment on one budget and put them in one table.

Each variant is a run of its own folder: one that finished is not run again, one that was
stopped goes on. `scripts/ablations.py +experiment=NAME` does this from a checkout.
"""

import argparse
import json
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ligo_cpc_snn.benchmarking.ablation_table import markdown_table, read_row
from ligo_cpc_snn.config.compose import load
from ligo_cpc_snn.config.errors import ConfigError
from ligo_cpc_snn.config.save import plain
from ligo_cpc_snn.stopping import INTERRUPTED


class Variant(NamedTuple):
    """What is varied, the name in folder and table, and overrides.

    Names in braces stand for steps, see `budget`.
    """

    group: str
    name: str
    overrides: tuple[str, ...] = ()


VARIANTS = (
    Variant("experiment", "as_it_is"),
    Variant(
        "CPC pretraining",
        "cpc_on",
        (
            "training.pretrain.steps={pretrain}",
            "training.probe.steps={later_probe}",
            "training.finetune.steps={later_finetune}",
            "training.finetune.infonce_weight=0.1",
        ),
    ),
    Variant(
        "CPC pretraining",
        "cpc_off",
        (
            "training.pretrain.steps=0",
            "training.probe.steps={probe}",
            "training.finetune.steps={finetune}",
            "training.finetune.infonce_weight=0",
        ),
    ),
    Variant(
        "CPC pretraining",
        "cpc_frozen",
        (
            "training.pretrain.steps={pretrain}",
            "training.probe.steps={after}",
            "training.finetune.steps=0",
        ),
    ),
    Variant("bridge", "bridge_none", ("model.bridge.kind=none",)),
    Variant("bridge", "bridge_temporal_contrast", ("model.bridge.kind=temporal_contrast",)),
    Variant("bridge", "bridge_threshold", ("model.bridge.kind=threshold",)),
    Variant("bridge", "bridge_rate", ("model.bridge.kind=rate",)),
    Variant("bridge", "bridge_latency", ("model.bridge.kind=latency",)),
    Variant("neuron", "neuron_lif", ("model.snn.neuron=LIF",)),
    Variant("neuron", "neuron_alif", ("model.snn.neuron=ALIF",)),
    Variant("neuron", "neuron_cubalif", ("model.snn.neuron=CuBaLIF",)),
    Variant("neuron", "neuron_rlif", ("model.snn.neuron=RLIF",)),
    Variant("head", "head_graded", ("model.snn.neuron=none",)),
)


class Planned(NamedTuple):
    """A run of a variant."""

    variant: Variant
    seed: int
    folder: Path
    command: list[str]

    @property
    def finished(self) -> bool:
        """Whether it wrote its last file."""
        return (self.folder / "metrics.json").is_file()


def budget(common: Sequence[str]) -> dict[str, int]:
    """Return the steps of the phases; all variants take as many in all as the experiment.

    `pretrain` are the experiment's own, or a fifth of the total; `after` those that they leave.
    Probe (frozen encoder) and fine-tuning keep the experiment's proportion: `probe` and
    `finetune` share the total, `later_probe` and `later_finetune` what pretraining leaves. So
    each variant has the learning rates and the SNRs that the experiment has in that phase.
    """
    training = load(list(common)).training
    own, probe, finetune = (
        phase.steps for phase in (training.pretrain, training.probe, training.finetune)
    )
    total = own + probe + finetune
    pretrain = own or total // 5
    after = total - pretrain
    share = probe / max(probe + finetune, 1)
    return {
        "pretrain": pretrain,
        "after": after,
        "probe": round(share * total),
        "finetune": total - round(share * total),
        "later_probe": round(share * after),
        "later_finetune": after - round(share * after),
    }


def plan(
    common: Sequence[str], variants: Sequence[Variant], seeds: Sequence[int], folder: Path
) -> list[Planned]:
    """Return the runs of all variants; each is composed and checked first.

    A variant that comes to the settings of an earlier one, as that of the experiment itself,
    is the same run.

    Args:
        common: overrides of every run, `+experiment=NAME` among them.
        folder: of all runs.

    Raises:
        ConfigError: a variant cannot be composed.
    """
    steps, planned = budget(common), []
    known: dict[str, Planned] = {}
    for variant in variants:
        own = [text.format(**steps) for text in variant.overrides]
        for seed in seeds:
            chosen = [*common, *own, f"seed={seed}"]
            settings = json.dumps(plain(load(chosen)), sort_keys=True)
            if settings not in known:
                run_dir = folder / f"{variant.name}-seed{seed}"
                chosen += [f"name={run_dir.name}", f"run_dir={run_dir}"]
                command = [sys.executable, "-m", "ligo_cpc_snn.train", *chosen]
                known[settings] = Planned(variant, seed, run_dir, command)
            planned.append(known[settings]._replace(variant=variant))
    return planned


def run_all(planned: Sequence[Planned]) -> list[str]:
    """Run what is not finished, one after another, and return the names of those that failed.

    Raises:
        KeyboardInterrupt: a run was asked to stop; it saved its state.
    """
    failed: list[str] = []
    for number, run in enumerate(planned, 1):
        if run.finished or run.folder.name in failed:
            continue
        print(f"[{number}/{len(planned)}] {run.folder.name}", flush=True)
        code = subprocess.run(run.command, check=False).returncode
        if code == INTERRUPTED:
            raise KeyboardInterrupt
        if code:
            failed.append(run.folder.name)
    return failed


def write_table(planned: Sequence[Planned], folder: Path, sensitivity: Path | None = None) -> Path:
    """Write `ablations.md` of the runs that finished.

    Args:
        sensitivity: sensitivity.json of a campaign that searched with these runs' folders;
            by default the one in `folder`, if there is one.
    """
    measured = folder / "sensitivity.json" if sensitivity is None else sensitivity
    rows = [
        read_row(run.variant.group, run.variant.name, run.seed, run.folder, measured)
        for run in planned
        if run.finished
    ]
    path = folder / "ablations.md"
    path.write_text(markdown_table(rows), encoding="utf-8")
    return path


def chosen_variants(names: Sequence[str] | None) -> list[Variant]:
    """Return the variants of these names, all without names.

    Raises:
        ConfigError: there is none of that name.
    """
    known = {variant.name: variant for variant in VARIANTS}
    for name in names or ():
        if name not in known:
            raise ConfigError(f"variant {name}: expected one of {', '.join(known)}")
    return [known[name] for name in names or known]


def main(arguments: list[str] | None = None) -> int:
    """Run, or print, the variants; exit 1 when one failed, 130 when stopped."""
    parser = argparse.ArgumentParser("ablations", description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("overrides", nargs="+", help="of every run, as +experiment=quickstart")
    parser.add_argument("--folder", type=Path, default=Path("runs/ablations"))
    parser.add_argument("--only", help=f"of {','.join(v.name for v in VARIANTS)}")
    parser.add_argument("--seeds", default="0", help="such as 0,1,2")
    parser.add_argument("--sensitivity", type=Path, help="sensitivity.json of a campaign")
    parser.add_argument("--dry-run", action="store_true", help="print the commands only")
    parser.add_argument("--table", action="store_true", help="write the table only")
    options = parser.parse_intermixed_args(arguments)
    try:
        variants = chosen_variants(options.only and options.only.split(","))
        seeds = [int(seed) for seed in options.seeds.split(",")]
        planned = plan(options.overrides, variants, seeds, options.folder)
    except ValueError as error:  # of the config or of a number
        print(f"error: {error}", file=sys.stderr)
        return 1
    if options.dry_run:
        commands = [shlex.join(run.command) for run in planned]
        print("\n".join(dict.fromkeys(commands)))
        return 0
    options.folder.mkdir(parents=True, exist_ok=True)
    failed: list[str] = []
    try:
        failed = [] if options.table else run_all(planned)
    except KeyboardInterrupt:
        print("stopped: the same command goes on", file=sys.stderr)
        return INTERRUPTED
    finally:
        print(write_table(planned, options.folder, options.sensitivity))
    if failed:
        print(f"error: these runs failed, see their run.log: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
