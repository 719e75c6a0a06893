#!/usr/bin/env python
"""Known vulnerabilities of what is installed here, by pip-audit: `python scripts/audit.py`.

A registry that is reached through a mirror often has packages and no advisories. pip-audit then
audits nothing and succeeds; here that is said, with the reason, and is no success.
"""

import argparse
import json
import subprocess
import sys
import sysconfig
from typing import Any, NamedTuple

import requests

SECONDS = 10.0
# pip-audit's services, and an address of each that answers where it can be used.
SERVICES = {
    "pypi": "https://pypi.org/pypi/pip/24.0/json",
    "osv": "https://api.osv.dev/v1/vulns/GHSA-mq26-g339-26xf",
}
ACCEPTED: dict[str, str] = {}  # advisory -> why it does not concern this project


class Verdict(NamedTuple):
    """What came of it: 0 clean, 1 vulnerable; and lines for people."""

    code: int
    lines: list[str]


def service() -> tuple[str | None, list[str]]:
    """Return the first service that answers, or None and why none does."""
    reasons = []
    for name, address in SERVICES.items():
        try:
            answer = requests.get(address, timeout=SECONDS)
        except requests.RequestException as error:
            reasons.append(f"{address} cannot be reached ({type(error).__name__})")
            continue
        if answer.ok:
            return name, []
        reasons.append(f"{address} answers {answer.status_code}")
    return None, reasons


def verdict(report: dict[str, Any]) -> Verdict:
    """Judge a report of pip-audit.

    Args:
        report: its JSON: `dependencies` with `name` and either `vulns` or `skip_reason`.
    """
    looked_at = [x for x in report["dependencies"] if "skip_reason" not in x]
    if not looked_at:
        return Verdict(0, ["skipped: the service knows none of the packages installed"])
    found = [(x, v) for x in looked_at for v in x["vulns"]]
    names = {v["id"]: [v["id"], *v.get("aliases", [])] for _, v in found}
    open_ones = [(x, v) for x, v in found if not ACCEPTED.keys() & set(names[v["id"]])]
    lines = [
        f"error: {x['name']} {x['version']}: {' '.join(names[v['id']])}, mended in "
        f"{', '.join(v['fix_versions']) or 'no version'}"
        for x, v in open_ones
    ]
    left = len(report["dependencies"]) - len(looked_at)
    lines.append(f"{len(looked_at)} packages audited, {left} not known to the service")
    return Verdict(1 if open_ones else 0, lines)


def audit(name: str) -> Verdict:
    """Run pip-audit over this environment."""
    here = sysconfig.get_path("purelib")
    command = [sys.executable, "-m", "pip_audit", "--path", here, "--vulnerability-service", name]
    done = subprocess.run(
        [*command, "--format", "json", "--progress-spinner", "off", "--skip-editable"],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    try:
        return verdict(json.loads(done.stdout))
    except ValueError:
        why = (done.stderr.strip().splitlines() or ["no output"])[-1]
        return Verdict(1, [f"error: pip-audit failed: {why}"])


def main() -> int:
    """Audit, or say why not."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.parse_args()
    name, reasons = service()
    if name is None:
        print(f"skipped: no advisories from here: {'; '.join(reasons)}")
        return 0
    code, lines = audit(name)
    print("\n".join(lines))
    return code


if __name__ == "__main__":
    sys.exit(main())
