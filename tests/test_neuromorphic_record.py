"""The tables of experiments/neuromorphic are what its files say."""

import json
import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "experiments" / "neuromorphic"
DETECTORS = ("bbh_gaussian", "bbh_o3")
ROWS = {
    "`snn.nir` read back into this package": "round_trip",
    "`snn.nir` in snnTorch, wired by NIRTorch": "simulated",
    "`snn_lif.nir` in snnTorch, reset by subtraction": "compact",
    "`snn_lif.nir` in snnTorch, reset to zero as NIR's equation for `LIF` has it": "literal",
}


def rows() -> dict[tuple[str, ...], list[str]]:
    """Cells of each row of the record by its first one, and by its first two."""
    found: dict[tuple[str, ...], list[str]] = {}
    for line in (FOLDER / "README.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("| "):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            found[(cells[0],)] = found[tuple(cells[:2])] = cells
    return found


@pytest.mark.parametrize("row", ROWS)
def test_spikes_that_differ(row: str) -> None:
    cells = rows()[(row,)]
    for column, name in enumerate(DETECTORS):
        check = json.loads((FOLDER / f"check_{name}.json").read_text(encoding="utf-8"))
        part = check[ROWS[row]]
        spikes, differing, logits = cells[1 + 3 * column : 4 + 3 * column]
        assert int(spikes.replace(" ", "")) == part["spikes"]
        assert int(differing.replace(" ", "")) == part["differing"]
        assert float(logits) == pytest.approx(part["largest_logit_difference"], rel=0.05)
        if ROWS[row] != "literal":  # another network, as it were
            assert part["unexplained"] == 0


def test_spikes_of_the_front_end() -> None:
    (cells,) = (x for key, x in rows().items() if len(key) == 1 and key[0].startswith("front end"))
    for column, name in enumerate(DETECTORS):
        check = json.loads((FOLDER / f"check_{name}.json").read_text(encoding="utf-8"))
        assert int(cells[1 + 3 * column].replace(" ", "")) == check["bridge_spikes"]
        assert int(cells[2 + 3 * column]) == check["front_end_differing"]


@pytest.mark.parametrize(
    ("row", "search"),
    [
        (("float32", ""), "float32"),
        (("int8 (Qwix, absmax)", "spiking network"), "int8, spiking network"),
        (("int8", "all (`--part all`)"), "int8, all"),
        (("ternary", "all"), "ternary, all"),
        (("ternary (-1, 0, 1, least squares)", "spiking network"), "ternary, spiking network"),
    ],
)
def test_distances(row: tuple[str, str], search: str) -> None:
    measured = json.loads((FOLDER / "distances.json").read_text(encoding="utf-8"))
    cells = rows()[row][2:]
    for cell, (_, distance, error, _) in zip(cells, measured["searches"][search], strict=True):
        told = re.fullmatch(r"(\d+) ± (\d+)", cell)
        assert told is not None
        assert float(told[1]) == pytest.approx(distance, abs=0.6)
        assert float(told[2]) == pytest.approx(error, abs=1)


def test_checks_are_of_one_version() -> None:
    first, second = (
        json.loads((FOLDER / f"check_{name}.json").read_text(encoding="utf-8"))
        for name in DETECTORS
    )
    assert first.keys() == second.keys()
    assert first["literal"].keys() == second["literal"].keys()


NAMES = {  # of the record's rows, by what ligo-export calls them
    "the same with a graded head": "runs/graded",
    "CNN of equal size, `cnn_gaussian`": "runs/cnn_gaussian",
    "`bbh_gaussian`": "bbh_gaussian",
    "`bbh_o3`": "bbh_o3",
}
PRODUCTS = {"int8 in the spiking part": "int8 products in the spiking part",
            "int8 everywhere": "int8 products everywhere"}  # fmt: skip


def measured_energies() -> dict[tuple[str, str], list[str]]:
    """Cells of the rows that `ligo-export --energy` printed, by strain and name."""
    found, strain = {}, ""
    for line in (FOLDER / "energies.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("Per second"):
            strain = "white noise" if "white noise" in line else "124 s after GW150914"
        elif line.startswith("| "):
            name, *cells = (cell.strip() for cell in line.strip("|").split("|"))
            found[strain, name] = cells
    return found


def test_energies() -> None:
    measured, name, strain, told = measured_energies(), "", "", 0
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.count("|") == 11]
    for line in lines[2:]:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        name, strain = NAMES.get(cells[0], name), cells[1].split(",")[0] or strain
        row = measured[strain, f"{name}, {PRODUCTS.get(cells[2], cells[2])}"]
        for one, other in zip(cells[3:], row, strict=True):
            if one:  # nothing where nothing spikes
                assert float(one.split()[0]) == float(other), (line, row)
        told += 1
    assert told == 9
