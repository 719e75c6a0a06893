"""Look for bytes that a reader of this package cannot stand: coverage-guided, by Atheris.

    python scripts/fuzz.py --seconds 300                 all targets, one after the other
    python scripts/fuzz.py --seconds 300 strain graph    some of them
    python scripts/fuzz.py --list

A target reads whatever it is given and must end in a refusal of one line. What does not, takes
over 20 s or over 3 GB is a finding: the bytes are kept in the folder of --output, and
`python scripts/fuzz.py --again FILE TARGET` reads them once more. A target whose process ends in
another way than by its time, or reads nothing, has failed too: exit code 1. Needs `pip install
'ligo-cpc-snn[fuzz]'` and a checkout: the targets are those of tests/fuzz.
"""

import argparse
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SLOWEST_SECONDS, MOST_MEGABYTES, LONGEST_BYTES = 20, 3000, 65_536
INSTRUMENTED = ["ligo_cpc_snn", "h5py", "yaml", "omegaconf", "hydra", "nir", "safetensors", "csv"]


def main() -> int:
    """Fuzz the targets asked for, print a table, and return 1 where something was found."""
    options = _parser().parse_args()
    sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "fuzz")]
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    if options.child:
        _fuzz(options.targets[0], options.child)
        return 0
    from hostile_targets import GWF, TARGETS, feed, quiet

    if not GWF:
        print("frames: left out, it needs pip install 'ligo-cpc-snn[frames]'", file=sys.stderr)
    names = options.targets or [target.name for target in TARGETS]
    if unknown := set(names) - {target.name for target in TARGETS}:
        print(f"error: no target {', '.join(sorted(unknown))}: --list prints them", file=sys.stderr)
        return 1
    if options.list:
        print("\n".join(target.name for target in TARGETS))
        return 0
    if options.again is not None:
        quiet()
        (target,) = (t for t in TARGETS if t.name == names[0])
        with tempfile.TemporaryDirectory() as folder:
            print("refused:", feed(target, options.again.read_bytes(), Path(folder)))
        return 0
    if importlib.util.find_spec("atheris") is None:
        print("error: no atheris here: pip install 'ligo-cpc-snn[fuzz]'", file=sys.stderr)
        return 1
    rows = [_run(name, options.seconds, options.output.absolute()) for name in names]
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")
    return 1 if any(_failure(row) for row in rows) else 0


def _run(name: str, seconds: int, output: Path) -> dict[str, Any]:
    """Fuzz one target in a process of its own, which a finding ends."""
    found = output / name
    found.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, __file__, "--child", str(seconds), "--output", str(output), name]
    with tempfile.TemporaryDirectory(prefix="fuzz-") as scratch:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", cwd=scratch, check=False
        )
    (found / "log.txt").write_text(done.stderr)
    units = re.findall(r"stat::number_of_executed_units:\s+(\d+)", done.stderr)
    covered = re.findall(r"cov: (\d+)", done.stderr)
    row = {
        "target": name,
        "executions": int(units[-1]) if units else 0,
        "covered": int(covered[-1]) if covered else 0,
        "exit": done.returncode,
        "findings": sorted(p.name for p in found.glob("*-*") if p.name != "log.txt"),
    }
    text = _failure(row) or "none"
    print(f"{name:12} {row['executions']:9} executions, {row['covered']:6} edges, findings: {text}")
    sys.stdout.flush()
    return row


def _failure(row: dict[str, Any]) -> str:
    """Return what is wrong with a target's row; empty: it ran to its end and found nothing."""
    if row["findings"]:
        return ", ".join(row["findings"])
    if row["exit"]:
        return f"exit {row['exit']}, see log.txt"
    return "" if row["executions"] else "nothing was read, see log.txt"


def _fuzz(name: str, seconds: int) -> None:
    import atheris

    with atheris.instrument_imports(include=INSTRUMENTED):
        from hostile_targets import TARGETS, feed, quiet
    quiet()
    (target,) = (t for t in TARGETS if t.name == name)
    output = _parser().parse_args().output.absolute() / name
    scratch = Path(tempfile.mkdtemp(dir="."))
    corpus = scratch / "corpus"
    corpus.mkdir()
    with atheris.instrument_imports(include=INSTRUMENTED):  # what the readers import late
        for number, body in enumerate(target.seeds()):
            feed(target, body, scratch)
            (corpus / f"seed{number}").write_bytes(body)

    def one(body: bytes) -> None:
        feed(target, body, scratch)

    arguments = [
        f"-max_total_time={seconds}",
        f"-timeout={SLOWEST_SECONDS}",
        f"-rss_limit_mb={MOST_MEGABYTES}",
        f"-max_len={LONGEST_BYTES}",
        f"-artifact_prefix={output}/",
        "-print_final_stats=1",
        "-seed=1",
    ]
    atheris.Setup([sys.argv[0], *arguments, str(corpus)], one)
    atheris.Fuzz()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("targets", nargs="*", metavar="TARGET")
    parser.add_argument("--seconds", type=int, default=120, help="per target")
    parser.add_argument("--output", type=Path, default=Path("fuzz"), help="folder of findings")
    parser.add_argument("--json", type=Path, help="file for the table")
    parser.add_argument("--list", action="store_true", help="print the targets")
    parser.add_argument("--again", type=Path, metavar="FILE", help="read a finding once more")
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
