"""Where the package comes from and what it stands on: lock, licences, advisories, its wheel."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
LOCK = tomllib.loads((ROOT / "uv.lock").read_text("utf-8"))
PACKAGES = {x["name"]: x for x in LOCK["package"]}


def script(name: str):
    """Return a script as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def asked() -> list[Requirement]:
    extras = PROJECT["optional-dependencies"].values()
    texts = [*PROJECT["dependencies"], *(text for extra in extras for text in extra)]
    return [Requirement(text) for text in texts]


def test_the_lock_holds_a_version_that_fits_of_each_dependency() -> None:
    own = canonicalize_name(PROJECT["name"])
    for one in asked():
        name = canonicalize_name(one.name)
        if name == own:
            continue
        versions = [x["version"] for x in LOCK["package"] if x["name"] == name]
        assert versions, f"{name} is not in uv.lock: uv lock renews it"
        assert any(one.specifier.contains(v, prereleases=True) for v in versions), (name, versions)


def test_the_lock_says_what_pyproject_says() -> None:
    own = PACKAGES[canonicalize_name(PROJECT["name"])]["metadata"]
    told = {(x["name"], x.get("specifier", "")) for x in own["requires-dist"]}
    wanted = {(canonicalize_name(x.name), str(x.specifier)) for x in asked()}
    # Both sides as sets of single bounds: their order is uv's.
    assert {(n, frozenset(s.split(","))) for n, s in told} == {
        (n, frozenset(s.split(","))) for n, s in wanted
    }, "pyproject.toml was changed since uv.lock was written: uv lock"
    assert set(own["provides-extras"]) == set(PROJECT["optional-dependencies"])


def test_each_file_of_the_lock_has_its_hash_and_comes_from_the_registry() -> None:
    for name, package in PACKAGES.items():
        if "registry" not in package["source"]:
            assert package["source"] == {"editable": "."}, name
            continue
        assert package["source"]["registry"] == "https://pypi.org/simple", name
        files = [*package.get("wheels", []), *([package["sdist"]] if "sdist" in package else [])]
        assert files, name
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", file["hash"]) for file in files), name


def test_uv_itself_finds_the_lock_current() -> None:
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if uv is None:
        pytest.skip("uv is not installed")
    done = subprocess.run(
        [uv, "lock", "--check", "--offline", "--no-cache", "--python", sys.executable],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


def test_an_upper_bound_has_its_reason_beside_it() -> None:
    text = (ROOT / "pyproject.toml").read_text("utf-8").partition("[tool.")[0]
    bounded = [x for x in text.splitlines() if re.search(r"[\"'][^\"']*<[^\"']*[\"']", x)]
    assert bounded  # Python's own
    assert [line for line in bounded if "#" not in line] == []


def test_the_list_of_licences_is_current_and_all_are_accepted() -> None:
    licences = script("licences")
    known, unknown = licences.rows()
    assert len(known) > 100
    assert licences.faults(known, unknown) == []
    assert licences.listed()["gwpy"].licence == "GPL-3.0-or-later"


@pytest.mark.parametrize(
    ("fields", "licence"),
    [
        ("License-Expression: MIT OR Apache-2.0", "MIT OR Apache-2.0"),
        ("License: Apache License, Version 2.0", "Apache-2.0"),
        ("License: BSD 3-Clause License Copyright (c) 2015", "BSD-3-Clause"),
        ("License: UNKNOWN\nClassifier: License :: OSI Approved :: MIT License", "MIT"),
        ("Classifier: License :: OSI Approved", None),
        ("License: see file", None),
    ],
)
def test_a_licence_is_read_however_it_is_named(fields, licence) -> None:
    import email

    found = script("licences").licence_of(email.message_from_string(f"Name: x\n{fields}\n"))
    assert found == licence


@pytest.mark.parametrize(
    ("name", "licence", "accepted"),
    [
        ("x", "MIT", True),
        ("x", "MPL-2.0 AND MIT", True),
        ("x", "MIT OR GPL-3.0-or-later", True),
        ("x", "MIT AND GPL-3.0-or-later", False),
        ("x", "GPL-3.0-or-later", False),
        ("gwpy", "GPL-3.0-or-later", True),
        ("gwpy", "AGPL-3.0", False),
        ("x", "LicenseRef-Proprietary", False),
        ("x", "Apache-2.0 WITH LLVM-exception", True),
        ("x", "", False),
    ],
)
def test_only_known_licences_are_accepted_and_the_gpl_by_name(name, licence, accepted) -> None:
    assert script("licences").is_accepted(name, licence) is accepted


def test_an_audit_of_nothing_is_told_and_a_vulnerability_fails() -> None:
    audit = script("audit")
    nothing = {"dependencies": [{"name": "x", "skip_reason": "not found"}]}
    assert audit.verdict(nothing).lines[0].startswith("skipped")
    clean = {"name": "y", "version": "1", "vulns": []}
    assert audit.verdict({"dependencies": [clean, *nothing["dependencies"]]}) == (
        0,
        ["1 packages audited, 1 not known to the service"],
    )
    fault = {"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["2"]}
    bad = {"name": "z", "version": "1", "vulns": [fault]}
    code, lines = audit.verdict({"dependencies": [clean, bad]})
    assert (code, lines[0]) == (1, "error: z 1: PYSEC-1 CVE-1, mended in 2")
    audit.ACCEPTED["CVE-1"] = "not used"
    assert audit.verdict({"dependencies": [clean, bad]}).code == 0


def copy_of_checkout(folder: Path, moment: int, mode: int) -> Path:
    """Copy what a wheel is made of; its files get another time and other permissions."""
    for name in ("ligo_cpc_snn", "conf"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", ".gitignore"):
        shutil.copy(ROOT / name, folder)
    for path in folder.rglob("*"):
        os.utime(path, (moment, moment))
        if path.is_file():
            path.chmod(mode)
    return folder


def test_two_builds_of_the_wheel_are_equal_byte_for_byte(tmp_path) -> None:
    pytest.importorskip("build", reason="the wheel is built with the package build")
    pytest.importorskip("hatchling", reason="the build backend hatchling is not installed")
    wheels = []
    for name, moment, mode in (("one", 1_500_000_000, 0o644), ("other", 1_700_000_000, 0o600)):
        (tmp_path / name).mkdir()
        source = copy_of_checkout(tmp_path / name, moment, mode)
        command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir"]
        subprocess.run(
            [*command, tmp_path / f"dist-{name}", source],
            env=os.environ | {"SOURCE_DATE_EPOCH": "1700000000"},
            check=True,
            capture_output=True,
            timeout=300,
        )
        (wheel,) = (tmp_path / f"dist-{name}").glob("*.whl")
        wheels.append(wheel)
    assert wheels[0].name == wheels[1].name
    assert wheels[0].read_bytes() == wheels[1].read_bytes()
