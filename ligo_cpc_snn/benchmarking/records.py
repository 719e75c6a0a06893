"""Results that are kept: one for each scale and kind of machine."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ligo_cpc_snn.benchmarking.tables import as_markdown

FOLDER = Path("experiments/benchmarks")


def machine_kind(machine: Mapping[str, Any]) -> str:
    """Return a name for machines like this one, as ``amd-epyc-2-cores`` or ``2x-nvidia-h200``."""
    if machine["platform"] == "cpu":
        return f"{_plain(machine['processor'])}-{machine['cores']}-cores"
    several = f"{machine['devices']}x-" if machine["devices"] > 1 else ""
    return several + _plain(machine["device"])


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def save(result: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write ``<scale>-<kind of machine>.json`` and ``.md``; return the files."""
    kind = machine_kind(result["machine"])
    folder.mkdir(parents=True, exist_ok=True)
    stem = folder / f"{result['scale']}-{kind}"
    files = {
        stem.with_name(stem.name + ".json"): json.dumps(result, indent=2) + "\n",
        stem.with_name(stem.name + ".md"): as_markdown(result, kind),
    }
    for file, text in files.items():
        file.write_text(text, encoding="utf-8")
    return list(files)
