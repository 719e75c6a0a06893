"""The table of the long campaign in experiments/ is what its files say."""

import importlib.util
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RECORD = ROOT / "experiments" / "faults"


@pytest.fixture(scope="module")
def script():
    path = ROOT / "scripts" / "fault_campaign.py"
    spec = importlib.util.spec_from_file_location("fault_campaign", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_table_is_made_from_the_files(script) -> None:
    table = script.table(sorted(RECORD.glob("*.json")))
    assert table in (RECORD / "README.md").read_text()


def test_the_record_is_of_a_hundred_kills_of_every_command(script) -> None:
    found = [hit for file in RECORD.glob("*.json") for hit in json.loads(file.read_text())["hits"]]
    done = [hit for hit in found if not hit["told"].startswith(script.SHOWS_NOTHING)]
    kills = [hit["command"] for hit in done if hit["fault"] == "kill"]
    assert len(kills) >= 100
    assert all(kills.count(command) >= 10 for command in script.campaign.COMMANDS)
    hit = {(one["command"], one["fault"]) for one in done}
    assert {("training", fault) for fault in script.campaign.FAULTS} <= hit
    assert str(ROOT) not in json.dumps(found)


def test_a_failure_shows_in_the_table_and_a_hit_not_tried_does_not_count(script, tmp_path) -> None:
    record = script.Record(tmp_path / "found.json", seed=3, work=tmp_path)
    for told in ("killed", "FAILED: lost", "not tried: no disk", "had enough room to its end"):
        record.add("search", "kill", told, 1.0)
    assert record.failed
    assert "| kill | search | 2 | 1 |" in script.table([record.file])
    assert "(seed 3)." in script.table([record.file])


def test_a_hit_that_comes_too_late_is_tried_again_and_one_that_raises_is_a_failure(script) -> None:
    came = iter([None, None, "killed"])
    assert script._tried(lambda: next(came)) == "killed"
    assert script._tried(lambda: None).startswith("not tried")
    assert script._tried(lambda: 1 // 0).startswith("FAILED")


def test_kills_are_spread_between_the_other_faults(script) -> None:
    order = list(script.order(["kill", "clock", "tracker"], kills=5, others=2))
    assert order == ["kill"] * 2 + ["clock", "tracker"] + ["kill"] * 3 + ["clock", "tracker"]
    assert list(script.order(["kill", "clock"], kills=2, others=0)) == ["kill"] * 2
