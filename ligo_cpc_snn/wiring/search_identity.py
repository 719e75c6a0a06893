"""Which search a folder of results is of: its input and its detector. Another is refused."""

import json
from pathlib import Path
from typing import Any

from ligo_cpc_snn.config.search_schema import SearchConfig
from ligo_cpc_snn.errors import UserError
from ligo_cpc_snn.search.outputs import RECORD
from ligo_cpc_snn.search.trained import TrainedDetector
from ligo_cpc_snn.strain.replacing import write_whole
from ligo_cpc_snn.wiring.search_progress import fingerprint

FOLLOWED = "follow.json"


class OtherSearchError(UserError):
    """The folder holds the results of another search; the text is a single line."""


def identity_of(cfg: SearchConfig, detector: TrainedDetector) -> dict[str, Any]:
    """Return what makes two searches the same one: the input as it was given, and the detector.

    A folder that has grown, or a file that was written again, is the same input.
    """
    gwosc = cfg.strain.gwosc
    return {
        "detector": detector.name,
        "weights": fingerprint(detector)[:16],
        "files": sorted(_absolute(name) for name in cfg.strain.files),
        "exclude": sorted(cfg.strain.exclude),
        "events": sorted(gwosc.events),
        "event_seconds": gwosc.event_seconds if gwosc.events else None,
        "span": list(gwosc.span) if gwosc.span is not None else None,
        "follow": _absolute(cfg.follow) if cfg.follow is not None else None,
    }


def refuse_other(output_dir: Path, identity: dict[str, Any]) -> None:
    """Raise OtherSearchError where a folder holds the finished search of something else."""
    file = output_dir / RECORD
    if not file.exists():
        return
    try:
        before = json.loads(file.read_text(encoding="utf-8")).get("identity")
    except (ValueError, AttributeError) as error:
        raise OtherSearchError(
            f"{file} cannot be read ({error}), so it is not known what the folder holds: give "
            "--output another folder, or delete it"
        ) from error
    if before:
        _compare(output_dir, before, identity)


def claim_followed(output_dir: Path, identity: dict[str, Any]) -> None:
    """Note what is followed into a folder, or raise OtherSearchError: it was something else."""
    file = output_dir / FOLLOWED
    if file.exists():
        _compare(output_dir, json.loads(file.read_text(encoding="utf-8")), identity)
    else:
        write_whole(file, json.dumps(identity, indent=1).encode())


def _compare(folder: Path, before: dict[str, Any], now: dict[str, Any]) -> None:
    differing = [
        f"{name}: {_shown(before.get(name))} -> {_shown(now.get(name))}"
        for name in now
        if before.get(name) != now.get(name)
    ]
    if differing:
        raise OtherSearchError(
            f"{folder} holds another search ({'; '.join(differing)}), which would be overwritten: "
            "give --output another folder, or name=another"
        )


def _shown(value: Any) -> str:
    if isinstance(value, list):
        names = [str(part) for part in value]
        return ", ".join([*names[:3], "..."] if len(names) > 3 else names) or "none"
    return "none" if value is None else str(value)


def _absolute(name: str) -> str:
    return str(Path(name).expanduser().resolve())
