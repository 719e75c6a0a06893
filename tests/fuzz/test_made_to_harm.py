"""Files made to harm: they point elsewhere, unpack to terabytes, run in circles, hold pickles."""

import ast
import io
import json
import os
import pickle
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from hostile_targets import (
    START,
    TARGETS,
    array_seeds,
    challenge_layout,
    context_layout,
    events_layout,
    feed,
    gwpy_layout,
    resealed,
    settings_text,
)

from ligo_cpc_snn.config.errors import ConfigError
from ligo_cpc_snn.config.save import load_saved
from ligo_cpc_snn.reading.arrays import load_arrays, map_array
from ligo_cpc_snn.reading.errors import FileContentError
from ligo_cpc_snn.reading.hdf5 import open_hdf5
from ligo_cpc_snn.reading.heaps import HEADER, MARK
from ligo_cpc_snn.search.outputs import UNITS
from ligo_cpc_snn.search.weights_settings import SOUND
from ligo_cpc_snn.strain.errors import StrainFileError
from ligo_cpc_snn.strain.files import read_strain

PACKAGE = Path(__file__).resolve().parents[2] / "ligo_cpc_snn"
BY_NAME = {target.name: target for target in TARGETS}


def soft(file: h5py.File) -> None:
    file["other"] = h5py.SoftLink("/H1:STRAIN")


def external(file: h5py.File) -> None:
    file["other"] = h5py.ExternalLink("/etc/passwd", "/x")


def circle(file: h5py.File) -> None:
    file.create_group("a")["back"] = file["/"]


def two_names(file: h5py.File) -> None:
    file.create_group("a")
    file["b"] = file["a"]


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((4,), "f8")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (4,))
    file.create_virtual_dataset("other", layout)


def elsewhere(file: h5py.File) -> None:
    file.create_dataset("other", (8,), "u1", external=[("/etc/hostname", 0, 8)])


def terabytes(file: h5py.File) -> None:
    file.create_dataset("other", (1 << 40,), "f8", chunks=(1024,), compression="gzip")


def wide_chunk(file: h5py.File) -> None:
    file.create_dataset("other", (1,), "f8", chunks=(1 << 28,), maxshape=(None,))


def references(file: h5py.File) -> None:
    file.create_dataset("other", data=file["H1:STRAIN"].ref, dtype=h5py.ref_dtype)


def deep(file: h5py.File) -> None:
    file.create_group("/".join("a" * 40))


def no_start(file: h5py.File) -> None:
    file["H1:STRAIN"].attrs["x0"] = np.nan


def many_starts(file: h5py.File) -> None:
    file["H1:STRAIN"].attrs["x0"] = np.arange(3.0)


def text_start(file: h5py.File) -> None:
    file["H1:STRAIN"].attrs["x0"] = "\x1b[2Jnow\n"


def quick(file: h5py.File) -> None:
    file["H1:STRAIN"].attrs["dx"] = 1e-300


def flat(file: h5py.File) -> None:
    del file["H1:STRAIN"]
    file.create_dataset("H1:STRAIN", data=np.zeros((3, 3))).attrs.update({"x0": 1.0, "dx": 0.5})


POINTING = (soft, external, circle, two_names, virtual, elsewhere, references, deep)
SIZES = (terabytes, wide_chunk)
VALUES = (no_start, many_starts, text_start, quick, flat)


@pytest.mark.parametrize("change", [*POINTING, *SIZES, *VALUES], ids=lambda x: x.__name__)
def test_an_hdf5_file_made_to_harm_is_refused(change, tmp_path: Path) -> None:
    path = tmp_path / "H-H1_X.hdf5"
    with h5py.File(path, "w") as file:
        gwpy_layout(file)
    assert read_strain(path, ["H1"])
    with h5py.File(path, "a") as file:
        change(file)
    with pytest.raises(StrainFileError) as told:
        read_strain(path, ["H1"])
    assert str(told.value).isprintable()
    if change in (*POINTING, *SIZES):
        with pytest.raises(FileContentError, match=r"not read|too deep"), open_hdf5(path):
            pass


def endless(file: h5py.File) -> None:
    file[f"H1/{START}"].attrs["delta_t"] = np.inf


@pytest.mark.parametrize(
    ("name", "layout", "change"),
    [
        ("triggers", events_layout, lambda f: None),
        ("challenge", challenge_layout, endless),
        ("strain", context_layout, lambda f: f["H1/strain"].attrs.update({"dx": [1, 2]})),
        ("strain", context_layout, lambda f: f.attrs.update({"tgps": "soon"})),
    ],
)
def test_tables_of_something_else_are_refused(name, layout, change, tmp_path: Path) -> None:
    body = io.BytesIO()
    with h5py.File(body, "w") as file:
        layout(file)
        change(file)
    found = feed(BY_NAME[name], body.getvalue(), tmp_path)
    assert found is not None or name == "challenge"


def test_columns_of_several_lengths_are_no_table(tmp_path: Path) -> None:
    body = io.BytesIO(BY_NAME["triggers"].seeds()[0])
    with h5py.File(body, "a") as file:
        del file["p_value"]
        file["p_value"] = np.zeros(7)
    assert "several lengths" in str(feed(BY_NAME["triggers"], body.getvalue(), tmp_path))
    assert set(UNITS)


def test_a_heap_without_end_is_refused(tmp_path: Path) -> None:
    """HDF5 would never come back from it: found by scripts/fuzz.py."""
    body = bytearray(BY_NAME["download"].seeds()[0])
    place = body.index(MARK) + HEADER
    size = int.from_bytes(body[place + 8 : place + 16], "little")
    free = place + HEADER + (size + 7) // 8 * 8
    assert body[free : free + 2] == b"\0\0"
    body[free + 8 : free + 16] = bytes(8)
    assert "heap" in str(feed(BY_NAME["download"], bytes(body), tmp_path))


class Planted:
    """Pickled, it makes a file when it is loaded."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


@pytest.fixture
def planted(tmp_path: Path) -> tuple[bytes, Path]:
    marker = tmp_path / "harmed"
    pickle.loads(pickle.dumps(Planted(marker)))
    assert marker.exists()  # it would work
    marker.unlink()
    return pickle.dumps(Planted(marker)), marker


def test_a_planted_pickle_is_never_loaded(planted: tuple[bytes, Path], tmp_path: Path) -> None:
    body, marker = planted
    objects, alone = io.BytesIO(), io.BytesIO()
    evil = np.array([Planted(marker)], dtype=object)
    names = ("statistic", "seconds", "slides", "gps", "about", "noise_scores", "time")
    np.savez(objects, **dict.fromkeys(names, evil))
    np.save(alone, evil)
    folder = tmp_path / "folder"
    folder.mkdir()
    for target in TARGETS:
        for planted_body in (body, objects.getvalue(), alone.getvalue()):
            feed(target, planted_body, folder)
    with pytest.raises(FileContentError, match="type object"):
        load_arrays(_write(folder / "x.npz", objects.getvalue()))
    with pytest.raises(FileContentError):
        map_array(_write(folder / "x.npy", alone.getvalue()))
    _read_as_folders(folder, objects.getvalue())
    assert not marker.exists()


def _write(path: Path, body: bytes) -> Path:
    path.write_bytes(body)
    return path


def _read_as_folders(folder: Path, body: bytes) -> None:
    """Read a folder in which every archive of arrays is the planted one."""
    from ligo_cpc_snn.reports.run_files import NEEDED_KEYS, read_run
    from ligo_cpc_snn.reports.search_files import read_search
    from ligo_cpc_snn.reports.sensitivity_files import read_sensitivity

    for name in (*NEEDED_KEYS, "background.npz", "candidates.npz", "sensitivity.npz"):
        (folder / name).write_bytes(body)
    (folder / "sensitivity.json").write_text('{"searches": {}}')
    assert any("type object" in line for line in read_run(folder).missing)
    assert any("unreadable" in line for line in read_search(folder).missing)
    with pytest.raises(FileContentError):
        read_sensitivity(folder)


def _calls(tree: ast.AST) -> list[tuple[str, ast.Call]]:
    return [(ast.unparse(node.func), node) for node in ast.walk(tree) if isinstance(node, ast.Call)]


FORBIDDEN = re.compile(
    r"(^|\.)(pickle|cPickle|dill|cloudpickle|marshal|shelve|joblib)\b"
    r"|torch\.load|read_pickle|yaml\.(unsafe_|full_)?load(_all)?$|^eval$|^exec$"
    r"|extractall|unpack_archive|\.extract$|os\.system"
)


def test_nothing_that_runs_what_it_reads_is_called() -> None:
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        modules = [n.names[0].name for n in ast.walk(tree) if isinstance(n, ast.Import)]
        modules += [n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
        bad = {"pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "tarfile"}
        assert not bad & {name.split(".")[0] for name in modules}, path
        if "zipfile" in modules:
            assert path == PACKAGE / "reading" / "arrays.py"
        for name, call in _calls(tree):
            assert not FORBIDDEN.search(name), f"{path}: {name}"
            if name in ("np.load", "numpy.load"):
                pickles = {k.arg: ast.unparse(k.value) for k in call.keywords}.get("allow_pickle")
                assert pickles == "False", f"{path}: say allow_pickle=False"


@pytest.mark.parametrize("text", ["pickle.loads", "yaml.load", "tar.extractall", "eval"])
def test_the_forbidden_are_recognised(text: str) -> None:
    assert FORBIDDEN.search(text)
    assert not FORBIDDEN.search("yaml.safe_load")


BOMBS = """
import resource, sys
from pathlib import Path
from ligo_cpc_snn.config.save import load_saved
from ligo_cpc_snn.reading.arrays import load_arrays
from ligo_cpc_snn.reading.text import read_json
from ligo_cpc_snn.strain.files import read_strain
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, resource.RLIM_INFINITY))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sorted(Path(sys.argv[1]).iterdir()):
    read = {".npz": load_arrays, ".hdf5": lambda p: read_strain(p, ["H1"]), ".json": read_json}
    try:
        read.get(path.suffix, load_saved)(path)
    except ValueError as error:
        assert chr(10) not in str(error)
        print(path.name, "refused:", error)
    else:
        print(path.name, "taken")
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def _bombs(folder: Path) -> int:
    """Write files that would take gigabytes or for ever; return how many."""
    with h5py.File(folder / "a.hdf5", "w") as file:
        gwpy_layout(file)
        terabytes(file)
    with h5py.File(folder / "b.hdf5", "w") as file:  # one value, packed to a thousandth
        data = file.create_dataset(
            "H1:STRAIN", (1 << 28,), "f8", chunks=(1 << 20,), compression="gzip", fillvalue=1.0
        )
        data.attrs.update({"x0": 1e9, "dx": 1 / 4096})
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"shape": (1 << 40,), "fortran_order": False, "descr": "<f8"}
    )
    with zipfile.ZipFile(folder / "c.npz", "w") as packed:
        packed.writestr("x.npy", header.getvalue() + b"\0" * 64)
    with (
        zipfile.ZipFile(folder / "d.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed,
        packed.open("x.npy", "w", force_zip64=True) as body,
    ):
        for _ in range(601):
            body.write(bytes(1_000_000))
    (folder / "e.json").write_text("[" * 1_000_000)
    run = folder / "f"
    run.mkdir()
    laughs = ["a0: &a0 [x, x]"]
    laughs += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 40)]
    (run / "config.yaml").write_text("\n".join(laughs))
    deep_one = folder / "g"
    deep_one.mkdir()
    (deep_one / "config.yaml").write_text("a: " + "[" * 100_000)
    return 7


def test_bombs_are_refused_before_they_take_memory(tmp_path: Path) -> None:
    number = _bombs(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", BOMBS, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    *lines, grown = done.stdout.splitlines()
    assert len(lines) == number
    assert all(" refused: " in line for line in lines), done.stdout
    assert int(grown) < 200  # MB


@pytest.mark.parametrize(
    "text",
    [
        "name: ${oc.env:HOME}",
        "x: !!python/object/apply:os.system [echo]",
        "a: &a 1\nb: *a",
        "- 1\n- 2",
        "\x00",
        "data: {detectors: 3}",
        "\ufffe",
    ],
)
def test_a_config_made_to_harm_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(ConfigError) as told:
        load_saved(tmp_path)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'"sample_rate_hz": 256', b'"sample_rate_hz": 1e99'),
        (b'"sample_rate_hz": 256', b'"sample_rate_hz": true'),
        (b'"detectors": ["H1", "L1"]', b'"detectors": ["../../H1", "L1"]'),
        (b'"detectors": ["H1", "L1"]', b'"detectors": "H1"'),
        (b'"widths": [6, 5]', b'"widths": [6, 99999999999]'),
        (b'"widths": [6, 5]', b'"widths": [60000, 60000]'),
        (b'"widths": [6, 5]', b'"widths": []'),
        (b'"stride": 8', b'"stride": 0'),
        (b'"name": "small"', b'"name": "a\\nb"'),
        (b'"name": "small"', b'"nome": "small"'),
        (b'"card": {}', b'"card": []'),
        (b'"warm_up_seconds": 0.6', b'"warm_up_seconds": NaN'),
    ],
)
def test_a_detector_sealed_anew_is_not_believed(before, after, tmp_path: Path) -> None:
    text = settings_text()
    assert before in text
    body = resealed(text.replace(before, after))
    assert feed(BY_NAME["weights"], body, tmp_path) is not None


EVIL = """
import sys
from ligo_cpc_snn.errors import UserError
from ligo_cpc_snn.search.weights import load_detector, read_detector
from ligo_cpc_snn.wiring.workloads import shapes_of_file
from pathlib import Path
for path in map(Path, sys.argv[1:]):
    shapes_of_file(path)
    for read in (load_detector, read_detector):
        try:
            read(path)
        except UserError as error:
            print(str(error).replace(str(path), "FILE"))
"""


def test_a_detector_does_not_decide_what_is_imported(tmp_path: Path) -> None:
    """Looked at and read in a process of its own, with a module on the path that tells of it."""
    marker = tmp_path / "harmed"
    evil = f"from pathlib import Path\nPath({str(marker)!r}).touch()\nclass Encoder: pass\n"
    (tmp_path / "evil.py").write_text(evil)
    (tmp_path / "evils").mkdir()
    (tmp_path / "evils" / "__init__.py").write_text(evil)
    subprocess.run([sys.executable, "-c", "import evil"], cwd=tmp_path, check=True)
    assert marker.exists()  # it would work
    marker.unlink()
    files = []
    for number, own in enumerate(("evil:Encoder", "evils.json:Encoder", "evil:x;touch harmed")):
        tree = json.loads(settings_text())
        tree["model"]["encoder"] |= {"kind": "own", "own": own}
        body = resealed(json.dumps(tree).encode())
        files.append(_write(tmp_path / f"{number}.safetensors", body))
    done = subprocess.run(
        [sys.executable, "-c", EVIL, *map(str, files)],
        cwd=tmp_path,
        env={k: v for k, v in os.environ.items() if k != "LIGO_OWN_ENCODER"},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 6, done.stderr
    assert "set LIGO_OWN_ENCODER=evil:Encoder" in lines[0]
    assert "set LIGO_OWN_ENCODER=evils.json:Encoder" in lines[2]
    assert "expected module:Class" in lines[4]
    assert not marker.exists()


def test_all_fields_of_a_detector_are_looked_at() -> None:
    from dataclasses import fields

    from ligo_cpc_snn.search.trained import TrainedDetector

    assert {x.name for x in fields(TrainedDetector)} - {"params", "kernels"} == set(SOUND)


def test_a_members_name_in_an_archive_is_no_path(tmp_path: Path) -> None:
    body = io.BytesIO(array_seeds()[0])
    with zipfile.ZipFile(body, "a") as packed:
        one = io.BytesIO()
        np.save(one, np.ones(2))
        packed.writestr("../../planted.npy", one.getvalue())
    found = load_arrays(_write(tmp_path / "x.npz", body.getvalue()))
    assert "../../planted" in found  # a name like any other
    assert [p.name for p in tmp_path.rglob("*")] == ["x.npz"]
    with zipfile.ZipFile(body, "a") as packed:
        packed.writestr("run.py", "import os")
    with pytest.raises(FileContentError, match="no array"):
        load_arrays(_write(tmp_path / "x.npz", body.getvalue()))
