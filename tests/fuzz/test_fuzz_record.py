"""The first rows of experiments/fuzz are what its files say."""

import json
from pathlib import Path

import pytest

RECORD = Path(__file__).resolve().parents[2] / "experiments" / "fuzz"
ROWS = [row for file in sorted(RECORD.glob("*.json")) for row in json.loads(file.read_text())]


def told(target: str) -> list[str]:
    """Cells of a target's first row."""
    lines = (RECORD / "README.md").read_text(encoding="utf-8").splitlines()
    line = next(line for line in lines if line.startswith(f"| {target} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["target"])
def test_a_row_is_what_was_measured(row: dict) -> None:
    _, _, executions, edges, findings = told(row["target"])
    if row["executions"]:
        assert int(executions) == row["executions"]
    assert int(edges) == row["covered"]
    if row["exit"] == 0 and not row["findings"]:
        assert findings == "none"
    else:
        assert findings != "none"


def test_the_first_runs_were_of_sixteen_targets() -> None:
    assert len(ROWS) == 16
