"""What a folder is (a run, a search, a measurement of sensitivity, a profile), and its page."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ligo_cpc_snn.errors import UserError
from ligo_cpc_snn.reports.page import write_report
from ligo_cpc_snn.reports.profile_page import write_profile_report
from ligo_cpc_snn.reports.search_page import write_search_report
from ligo_cpc_snn.reports.sensitivity_page import write_sensitivity_report


class ReportError(UserError):
    """A folder that no page can be made of, or folders that cannot be compared."""


@dataclass(frozen=True)
class Kind:
    """A kind of folder: the files that tell it, in words, and what writes its page."""

    name: str
    files: tuple[str, ...]
    write: Callable[[Path], Path]


RUN = Kind("run", ("config.yaml", "metrics.jsonl", "metrics.json"), write_report)
SEARCH = Kind("search", ("search.json",), write_search_report)
SENSITIVITY = Kind("evaluation", ("sensitivity.json",), write_sensitivity_report)
PROFILE = Kind("profile", ("profile.json",), write_profile_report)
# A profile's folder also holds what it profiled, so the rarer files are asked for first.
KINDS = (PROFILE, SENSITIVITY, SEARCH, RUN)


def kind_of(folder: Path) -> Kind:
    """Return what a folder is.

    Raises:
        ReportError: there is no such folder, or it holds none of the files that tell its kind.
    """
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise ReportError(
            f"{folder} {what}: give the folder of a run, a search, an evaluation or a profile"
        )
    for kind in KINDS:
        if any((folder / name).is_file() for name in kind.files):
            return kind
    wanted = ", ".join(f"{kind.files[0]} (a {kind.name})" for kind in reversed(KINDS))
    raise ReportError(f"{folder} holds no saved result, expected one of {wanted}: give its folder")
