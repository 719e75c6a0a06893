"""A function of windows gives the same in chunks as whole, whatever the budget."""

import logging
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ligo_cpc_snn import chunked as module
from ligo_cpc_snn.chunked import chunked, in_parts
from ligo_cpc_snn.memory import OutOfMemoryError, is_out_of_memory, largest_that_fits

NUMBER, LENGTH = 37, 256
WINDOW_BYTES = 4 * LENGTH


def windows() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.standard_normal((NUMBER, LENGTH)).astype(np.float32), np.arange(NUMBER)


def expanded(scale, strain, number):
    """Make more of a window than it is, and read it again: memory grows with the windows."""
    wide = jnp.sort(strain[:, None, :] * jnp.arange(1.0, 9.0)[None, :, None], axis=-1)
    return {"mean": scale * wide.mean((1, 2)), "row": wide[:, 3, ::7], "number": 2 * number}


def whole():
    return jax.device_get(jax.jit(expanded)(jnp.float32(3.0), *windows()))


@pytest.mark.parametrize("budget_windows", [40, 100, 10_000])
def test_chunked_equals_whole(budget_windows):
    run = chunked(expanded, budget_windows * WINDOW_BYTES)
    got = run(*windows(), fixed=(jnp.float32(3.0),))
    for name, expected in whole().items():
        np.testing.assert_allclose(got[name], expected, rtol=1e-5, atol=1e-5)
        assert got[name].dtype == expected.dtype
    assert 1 <= run.size <= NUMBER
    assert (run.size == NUMBER) == (budget_windows == 10_000)


def test_a_wrong_chunk_would_be_seen():
    """The comparison above can fail: a function that looks at its neighbours is not allowed."""
    run = chunked(lambda x: jnp.roll(x, 1, axis=0), 12 * WINDOW_BYTES)
    strain = windows()[0]
    got = run(strain)
    assert run.size < NUMBER
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(got, np.roll(strain, 1, axis=0))


def test_chunks_keep_to_the_budget_by_the_compilers_figures():
    budget = 60 * WINDOW_BYTES
    run = chunked(expanded, budget)
    run(*windows(), fixed=(jnp.float32(1.0),))
    assert run._fitted.needed_bytes <= budget
    larger = run._compiler(windows(), (jnp.float32(1.0),))(2 * run.size)[1]
    assert larger > budget


def test_every_window_is_counted_once_in_the_progress():
    told = []
    chunked(expanded, 60 * WINDOW_BYTES, progress=lambda *x: told.append(x))(
        *windows(), fixed=(jnp.float32(1.0),)
    )
    assert [done for done, _ in told] == sorted({done for done, _ in told})
    assert told[-1] == (NUMBER, NUMBER)
    assert len(told) > 1


def test_fewer_windows_than_a_chunk_run_in_the_same_program():
    run = chunked(expanded, None, largest=16)
    strain, number = windows()
    run(strain, number, fixed=(jnp.float32(3.0),))
    program = run._fitted.program
    got = run(strain[:5], number[:5], fixed=(jnp.float32(3.0),))
    np.testing.assert_allclose(got["mean"], whole()["mean"][:5], rtol=1e-6)
    assert run._fitted.program is program
    assert run.size == 16


def test_a_budget_below_one_window_is_refused_with_its_size():
    with pytest.raises(OutOfMemoryError, match=r"single window needs .* MB"):
        chunked(expanded, 100)(*windows(), fixed=(jnp.float32(1.0),))


def test_out_of_memory_goes_on_with_half(monkeypatch, caplog):
    """The device refuses what the compiler thought would fit."""
    run = chunked(expanded, None, largest=16)
    original = module.Chunked._run

    def refuse(self, windows, fixed, first):
        if self.size > 4 and first > 0:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes")
        return original(self, windows, fixed, first)

    monkeypatch.setattr(module.Chunked, "_run", refuse)
    with caplog.at_level(logging.WARNING):
        got = run(*windows(), fixed=(jnp.float32(3.0),))
    assert run.size == 4
    assert "going on with half" in caplog.text
    np.testing.assert_allclose(got["row"], whole()["row"], rtol=1e-6)


def test_another_error_is_not_taken_for_out_of_memory(monkeypatch):
    error = jax.errors.JaxRuntimeError("INTERNAL: a kernel failed")
    assert not is_out_of_memory(error)
    assert is_out_of_memory(MemoryError())

    def fail(*_):
        raise error

    monkeypatch.setattr(module.Chunked, "_run", fail)
    with pytest.raises(jax.errors.JaxRuntimeError, match="INTERNAL"):
        chunked(expanded, None)(*windows(), fixed=(jnp.float32(1.0),))


def test_arrays_of_different_lengths_are_refused():
    strain, number = windows()
    with pytest.raises(ValueError, match="expected as many in each"):
        chunked(expanded, None)(strain, number[1:], fixed=(jnp.float32(1.0),))


@pytest.mark.parametrize("parts", [1, 2, 5, NUMBER])
def test_parts_inside_a_compiled_function_equal_the_whole(parts):
    def run(strain, number):
        return in_parts(lambda *w: expanded(jnp.float32(3.0), *w), parts)(strain, number)

    got = jax.device_get(jax.jit(run)(*windows()))
    for name, expected in whole().items():
        np.testing.assert_allclose(got[name], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("room", [5, 99, 100, 1000, 3199, 3200, 10**6])
def test_the_largest_size_that_fits_is_found_with_few_compilations(room):
    tried = []

    def compile_at(size: int):
        tried.append(size)
        return f"program {size}", 100 * size + (50 if size % 2 else 0)

    sizes = [1, 2, 3, 4, 5, 6, 7, 8, 11, 16, 32]
    found = largest_that_fits(compile_at, sizes, room)
    fitting = [s for s in sizes if 100 * s + (50 if s % 2 else 0) <= room]
    assert found.size == max(fitting, default=1)
    assert found.fits(room) == bool(fitting)
    assert found.program == f"program {found.size}"
    assert len(tried) == len(set(tried)) <= 5


PEAK = """
import resource, sys
import numpy as np, jax, jax.numpy as jnp
from ligo_cpc_snn.chunked import chunked
from ligo_cpc_snn.runtime.devices import peak_memory_bytes, resident_bytes

def wide(strain):
    spread = jnp.sort(strain[:, None, :] * jnp.arange(1.0, 33.0)[None, :, None], axis=-1)
    return spread.mean((1, 2))

strain = np.random.default_rng(0).standard_normal((512, 16384)).astype(np.float32)
budget = int(sys.argv[1])
run = chunked(wide, budget)
run(strain[:8])
run._fitted = None
run._fit((strain,), (), 512)  # what a compilation takes is none of the budget's
before = resident_bytes()
run(strain)
print(run.size, peak_memory_bytes() - before)
"""


def test_peak_resident_memory_stays_under_the_budget():
    """34 MB of windows that become 1.1 GB and more on their way, in 100 MB."""
    budget = 100_000_000
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(budget)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    size, peak = map(int, done.stdout.split()[-2:])
    assert 1 <= size < 512
    assert peak < budget + 30_000_000
