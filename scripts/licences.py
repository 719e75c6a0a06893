#!/usr/bin/env python
"""The licence of every dependency, as LICENCES.md: `python scripts/licences.py`.

Which packages there are comes from uv.lock, their licences from what is installed here. A row
of a package that is not installed here is kept while the lock has that version, so the list can
be made whole from several environments. `--check` writes nothing and fails where a licence is
unknown or not accepted, or the list is out of date.
"""

import argparse
import re
import sys
import tomllib
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
LIST = ROOT / "LICENCES.md"
PACKAGE = "ligo-cpc-snn"

PERMISSIVE = {
    *("0BSD", "AFL-2.1", "Apache-2.0", "BSD", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0"),
    *("CC0-1.0", "CNRI-Python", "HPND", "ISC", "MIT", "MIT-0", "MIT-CMU", "NCSA", "OFL-1.1"),
    *("PSF-2.0", "Python-2.0", "Unlicense", "WTFPL", "Zlib"),
}
# Of a file or a library as a whole, which a program that imports it leaves as it is.
WEAK = {"MPL-2.0", "LGPL-2.1", "LGPL-2.1-or-later", "LGPL-3.0-or-later", "LGPL-3.0"}
EXCEPTIONS = {"LLVM-exception", "GCC-exception-3.1", "Classpath-exception-2.0"}
# The GPL is accepted by name only. MIT code may be used together with it; whoever passes on
# both together passes on the whole under the GPL. Nothing of them is in our wheel.
GPL = {
    "gwpy": "reads frames, HDF5 and ASCII strain; strain/, reports' Q-transform",
    "gwdatafind": "of gwpy",
    "dqsegdb2": "of gwpy",
    "gwframe": "extra frames: reads frames without LALFrame",
    "ml4gw": "extra bench: a peer of the benchmarks",
    "ligotimegps": "of gwpy",
    "igwn-segments": "of gwpy; lists of stretches of time",
    "safe-netrc": "of gwpy, through igwn-auth-utils",
}
_GPL = {"GPL-2.0-or-later", "GPL-3.0-or-later", "GPL-3.0", "GPL-3.0-only"}
# Licences that packages name in words of their own, or as a classifier only.
_NAMES = {
    "apache license version 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache license": "Apache-2.0",
    "apache": "Apache-2.0",
    "bsd": "BSD",
    "bsd license": "BSD",
    "new bsd license": "BSD-3-Clause",
    "3-clause bsd license": "BSD-3-Clause",
    "bsd 3-clause": "BSD-3-Clause",
    "bsd 3-clause license": "BSD-3-Clause",
    "bsd 2-clause license": "BSD-2-Clause",
    "mit license": "MIT",
    "isc license": "ISC",
    "isc license (iscl)": "ISC",
    "psfl": "PSF-2.0",
    "psf": "PSF-2.0",
    "python software foundation license": "PSF-2.0",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "gnu general public license v3 or later (gplv3+)": "GPL-3.0-or-later",
    "gnu general public license v3 (gplv3)": "GPL-3.0",
    "gnu general public license v2 or later (gplv2+)": "GPL-2.0-or-later",
    "gnu lesser general public license v3 or later (lgplv3+)": "LGPL-3.0-or-later",
    "gnu lesser general public license v2 or later (lgplv2+)": "LGPL-2.1-or-later",
    "the unlicense (unlicense)": "Unlicense",
    "zlib/libpng license": "Zlib",
}
_WORD = re.compile(r"[A-Za-z0-9.+-]+")


class Row(NamedTuple):
    """A package of the lock with its licence, and by what it is needed."""

    name: str
    version: str
    licence: str
    by: str


def licence_of(about: metadata.PackageMetadata) -> str | None:
    """Return the licence that a package's metadata name, as SPDX has it; None: they do not."""
    stated = about.get("License-Expression")
    if stated:
        return str(stated)
    written = " ".join(str(about.get("License") or "").replace(",", "").split())
    if licence := _spdx(written):
        return licence
    kinds = [x for x in about.get_all("Classifier") or [] if x.startswith("License ::")]
    named = [_spdx(x.rpartition(" :: ")[2]) for x in kinds]
    known = sorted({x for x in named if x})
    return " OR ".join(known) or None


def _spdx(words: str) -> str | None:
    """Return the SPDX expression that is written, or that a text of a licence begins with."""
    if named := _NAMES.get(words.lower()):
        return named
    if words and not [x for x in _identifiers(words) if x not in PERMISSIVE | WEAK | _GPL]:
        return words
    return next((x for text, x in _TEXTS.items() if text in words[:400].lower()), None)


_TEXTS = {
    "apache license version 2.0": "Apache-2.0",
    "bsd 3-clause license": "BSD-3-Clause",
    "mit license": "MIT",
    "gnu lesser general public license version 3": "LGPL-3.0",
}


def _identifiers(licence: str) -> list[str]:
    return [x for x in _WORD.findall(licence) if x not in ("AND", "OR", "WITH")]


def is_accepted(name: str, licence: str) -> bool:
    """Return whether a package may be depended on.

    Of an expression with OR alone one part is enough, of any other each part counts.
    """
    accepted = PERMISSIVE | WEAK | EXCEPTIONS | (_GPL if name in GPL else set())
    parts = [x in accepted for x in _identifiers(licence)]
    either = " OR " in licence and " AND " not in licence
    return bool(parts) and (any(parts) if either else all(parts))


def locked() -> dict[str, tuple[str, list[str]]]:
    """Return version of each package of the lock, and what needs it: `package` or extras."""
    lock = tomllib.loads((ROOT / "uv.lock").read_text("utf-8"))
    packages = {x["name"]: x for x in lock["package"]}
    own = packages[PACKAGE]
    roots = {"package": own.get("dependencies", []), **own.get("optional-dependencies", {})}
    needs: dict[str, list[str]] = {}
    for label, wanted in roots.items():
        for name in _closure(packages, wanted):
            needs.setdefault(name, []).append(label)
    return {name: (packages[name]["version"], by) for name, by in needs.items()}


def _closure(packages: dict[str, dict], wanted: Iterable[dict]) -> set[str]:
    found: set[str] = set()
    waiting = list(wanted)
    while waiting:
        one = waiting.pop()
        name, extras = one["name"], one.get("extra", [])
        if name == PACKAGE:
            continue
        package = packages[name]
        optional = package.get("optional-dependencies", {})
        waiting += [x for extra in extras for x in optional.get(extra, [])]
        if name not in found:
            found.add(name)
            waiting += package.get("dependencies", [])
    return found


def installed() -> dict[str, metadata.Distribution]:
    """Return what is installed here, by normalised name."""
    return {canonicalize_name(x.metadata["Name"]): x for x in metadata.distributions()}


def listed() -> dict[str, Row]:
    """Return the rows of the list as it is."""
    if not LIST.exists():
        return {}
    cells = (line.strip("| ").split(" | ") for line in LIST.read_text("utf-8").splitlines())
    rows = [Row(*x) for x in cells if len(x) == 4 and x[0] not in ("package", "---")]
    return {row.name: row for row in rows}


def rows() -> tuple[list[Row], dict[str, list[str]]]:
    """Return the rows of all packages known, and the unknown: those needed by each extra."""
    here, before, known, unknown = installed(), listed(), [], dict[str, list[str]]()
    for name, (version, by) in sorted(locked().items()):
        label = "package" if "package" in by else ", ".join(sorted(by))
        found = licence_of(here[name].metadata) if name in here else None
        old = before.get(name)
        if found:
            known.append(Row(name, here[name].version, found, label))
        elif old and old.version == version:
            known.append(old._replace(by=label))
        else:
            unknown.setdefault(label, []).append(name)
    return known, unknown


def page(known: list[Row], unknown: dict[str, list[str]]) -> str:
    """Return the list as Markdown."""
    head = (
        "# Licences of the dependencies\n\nWritten by `python scripts/licences.py` from `uv.lock` "
        "and the metadata of the packages\nthemselves; `package` is what `pip install "
        f"{PACKAGE}` brings, other names are its extras. None of\nthem is part of our wheel, "
        "which is under the MIT licence.\n\nUnder the GPL are, with what they do here:\n\n"
    )
    gpl = "".join(f"- `{name}`: {what}\n" for name, what in sorted(GPL.items()))
    table = "\n| package | version | licence | needed by |\n| --- | --- | --- | --- |\n"
    table += "".join(f"| {' | '.join(row)} |\n" for row in known)
    rest = (
        "\n## Not looked at\n\nExtras that were not installed where this list was made. NVIDIA's "
        "libraries (`nvidia-*`) are\nproprietary: https://docs.nvidia.com/cuda/eula.\n\n"
    )
    rest += "".join(f"- {label}: {', '.join(names)}\n" for label, names in sorted(unknown.items()))
    return head + gpl + table + (rest if unknown else "")


def faults(known: list[Row], unknown: dict[str, list[str]]) -> list[str]:
    """Return what is wrong, one line each."""
    wrong = [
        f"{row.name} {row.version} is under {row.licence}, which {Path(__file__).name} refuses"
        for row in known
        if not is_accepted(row.name, row.licence)
    ]
    here = installed()
    for names in unknown.values():
        wrong += [f"{name} {here[name].version} names no licence" for name in names if name in here]
    before, versions = listed(), {name: version for name, (version, _) in locked().items()}
    for row in known:
        old = before.get(row.name)
        if old is None or (row.version == versions[row.name] and old != row):
            wrong.append(
                f"{row.name} {row.version}, {row.licence}, is not in {LIST.name} like that"
            )
    gone = sorted(set(before) - set(versions))
    return wrong + [f"{name} is in {LIST.name} and not in uv.lock" for name in gone]


def main() -> int:
    """Write the list, or check it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing, fail if out of date")
    check = parser.parse_args().check
    known, unknown = rows()
    if not check:
        LIST.write_text(page(known, unknown), "utf-8")
    wrong = faults(known, unknown)
    for line in wrong:
        print(f"error: {line}: python scripts/licences.py writes the list anew", file=sys.stderr)
    left = sum(map(len, unknown.values()))
    print(f"{len(known)} packages with their licences, {left} not installed here")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
