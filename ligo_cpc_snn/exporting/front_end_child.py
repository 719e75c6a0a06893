"""The process in which a front end is read, compiled and run: it may be anybody's program.

MLIR trusts the bytes that it parses: one flipped bit can end the process by a signal, and a loop
may have no end. `front_end_process` starts this one, asks it, and outlives it.
"""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import jax
import numpy as np
from jax import export
from jax.interpreters import mlir

from ligo_cpc_snn.exporting.front_end_messages import receive, send

# Calls that a program may make out of StableHLO: none that reach into the process.
CALLS = {"shape_assertion"}
DIALECTS = {"builtin", "func", "stablehlo"}
# Of StableHLO, what talks to the host or to other devices, and would wait for an answer.
REACHING = {
    *("infeed", "outfeed", "send", "recv", "partition_id", "replica_id", "cross-replica-sum"),
    *("all_gather", "all_reduce", "all_to_all", "collective_broadcast", "collective_permute"),
    "reduce_scatter",
}
# What reading may take: a count of 16 kB of damaged bytes let MLIR take 5.6 GB.
PARSING_BYTES, PARSING_FOLD = 2_000_000_000, 16

Signature = list[tuple[list[str], str]]  # shape and type of each array


class RefusedError(Exception):
    """The message says what the front end has that it must not have."""


def main() -> None:
    """Answer messages on standard input until it ends."""
    _be_the_first_to_go()
    inward, outward = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # libraries print what they like
    answer_all(inward, outward)


def answer_all(inward: IO[bytes], outward: IO[bytes]) -> None:
    """Load programs and run the last one, as messages ask; an error is an answer, too."""
    chunk: Callable[..., Any] = _nothing
    while (asked := receive(inward)) is not None:
        head, arrays = asked
        found: Sequence[Any] = ()
        said = {}
        try:
            if head["do"] == "load":
                chunk = load(arrays[0].tobytes(), head["inputs"], head["outputs"])
            else:
                found = [np.asarray(x) for x in jax.tree.leaves(chunk(*arrays))]
        except RefusedError as error:
            said["refused"] = str(error)
        except Exception as error:  # whatever flatbuffers, MLIR and XLA make of damaged bytes
            said["failed"] = f"{type(error).__name__}: {error}"
        send(outward, said, found)


def load(program: bytes, inputs: Signature, outputs: Signature) -> Callable[..., Any]:
    """Return the compiled chunk function of a program that passed every check.

    Raises:
        RefusedError: it calls out of StableHLO, or is of another signature.
    """
    with _limited_memory(PARSING_BYTES + PARSING_FOLD * len(program)):
        exported = export.deserialize(bytearray(program))
        calls = sorted(calls_out(exported.mlir_module()))
    if calls:
        raise RefusedError(f"calls {', '.join(calls)}, expected plain StableHLO")
    for told, avals in ((inputs, exported.in_avals), (outputs, exported.out_avals)):
        got = [[[str(n) for n in aval.shape], str(aval.dtype)] for aval in avals]
        if got != [list(port) for port in told]:
            raise RefusedError(f"has arrays {got}, its description has others")
    return jax.jit(exported.call)


def calls_out(text: str) -> set[str]:
    """Return the names of a module's calls and operations that no front end needs."""
    with mlir.make_ir_context():
        found = set()
        for operation in _operations(mlir.ir.Module.parse(text).operation):
            dialect, _, name = operation.name.partition(".")
            if name == "custom_call":
                found |= {_target(operation)} - CALLS
            elif dialect not in DIALECTS or name in REACHING:
                found.add(operation.name)
        return found


def _operations(first: Any) -> Iterator[Any]:
    waiting = [first]
    while waiting:
        yield (operation := waiting.pop())
        inner = [x for region in operation.regions for block in region for x in block]
        waiting += [x.operation for x in inner]


def _target(operation: Any) -> str:
    return str(mlir.ir.StringAttr(operation.attributes["call_target_name"]).value)


def _nothing(*_: Any) -> Any:
    raise RefusedError("was not loaded")


@contextmanager
def _limited_memory(more: int) -> Iterator[None]:
    """Let this process take so many bytes more than it has; only Linux holds it to that."""
    try:
        import resource

        status = Path("/proc/self/status").read_text(encoding="ascii")
        used = 1024 * int(status.split("VmData:")[1].split()[0])
    except (ImportError, OSError, ValueError, IndexError):
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_DATA)
    if before[0] != resource.RLIM_INFINITY:  # somebody else limits it already
        yield
        return
    resource.setrlimit(resource.RLIMIT_DATA, (used + more, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def _be_the_first_to_go() -> None:
    """Where a program asks for too much, end this process by it, and leave no dump behind."""
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write("1000")
    except (ImportError, OSError, ValueError):
        print("no limits on this system", file=sys.stderr)
