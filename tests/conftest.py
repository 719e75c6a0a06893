"""The package is imported with shapes and types of its annotations checked at run time."""

import getpass
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

# Before JAX is imported: the same numbers on every machine, no files outside the test.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_THREEFRY_PARTITIONABLE", "true")
os.environ.setdefault("WANDB_MODE", "disabled")
# Most of the suite's time is XLA's: programs are kept from test to test and run to run.
_CACHE = Path(tempfile.gettempdir()) / f"ligo-cpc-snn-tests-{getpass.getuser()}"
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(_CACHE))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")

import jax  # noqa: E402 (after the environment)
from jaxtyping import install_import_hook  # noqa: E402

PACKAGES = "strain signals conditioning dataset models objectives search evaluation"
TRAINING = "accumulation learner loop mining optimiser phases step validation"
CHECKED = [*PACKAGES.split(), *(f"training.{name}" for name in TRAINING.split())]
install_import_hook([f"ligo_cpc_snn.{name}" for name in CHECKED], "typechecker.check")


ENOUGH_BYTES = 3e9  # of a process, before it lets go of compiled programs


@pytest.fixture(scope="module", autouse=True)
def compiled_programs_do_not_pile_up() -> Iterator[None]:
    """Keep two processes of tests below a laptop's memory: programs come back from the disk."""
    yield
    if psutil.Process().memory_info().rss > ENOUGH_BYTES:
        jax.clear_caches()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("ligo_cpc_snn")
    group.addoption("--run-benchmarks", action="store_true", help="run what measures speed")
    group.addoption("--benchmark-scale", default="tiny", help="tiny, small, medium or large")
    group.addoption("--benchmark-against", help="earlier result of ligo-benchmark --json")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--run-benchmarks"):
        return
    for item in items:
        if item.get_closest_marker("bench"):
            item.add_marker(pytest.mark.skip(reason="measures speed: --run-benchmarks"))


@pytest.fixture
def benchmark_options(request: pytest.FixtureRequest) -> tuple[str, str | None]:
    """Return the scale, and the result to compare with or None."""
    options = request.config.getoption
    return options("--benchmark-scale"), options("--benchmark-against")
