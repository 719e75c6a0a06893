"""Golden references of the numerical stages: how they are kept, and how far results may be off.

`stages_make.py` wrote `stages_<stage>.npz` and `stages.json` with the code, versions and machine
that it names. A stage is a set of cases; each has the inputs and, where it has any, the parameters
it was computed from, and its outputs. A result that leaves the tolerance is a changed result:
a faster way of computing is wrong then, and only a wanted change of what is computed (a new
filter, another formula) is a reason to make the references anew.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

FOLDER = Path(__file__).parent


class Tolerance(NamedTuple):
    """Largest `distance` from the reference: of all float32 ways, and of bfloat16 products."""

    float32: float
    bfloat16: float | None = None  # None: the stage has no product that may be bfloat16


# One per stage. The float32 ways stay ten times closer on the machine that made the references
# (their order of summation differs), and a single spike elsewhere is 100 times farther. Where
# products in bfloat16 move a spike, its frame changes: outputs of neurons by up to 0.23.
TOLERANCES = {
    "whitening": Tolerance(1e-6),  # of float32 strain; designed and filtered in float64
    "projection": Tolerance(1e-10),  # float64: sky angles and delays times frequencies
    "signals": Tolerance(1e-6),  # of float32 strain; made in float64
    "composition": Tolerance(1e-6),
    "encoder": Tolerance(1e-5, 3e-2),
    "context": Tolerance(1e-5, 2e-1),  # a layer norm's gradient is a small difference
    "bridge": Tolerance(1e-5),
    "snn": Tolerance(1e-5, 3e-1),
    "losses": Tolerance(1e-5, 1e-1),
    "triggers": Tolerance(1e-12),
    "slides": Tolerance(1e-5),  # in bfloat16 other frames are peaks
    "search": Tolerance(1e-5, 1e-2),  # bfloat16: median, and 1 % of the spikes may move
}


class Case(NamedTuple):
    """One case of a stage, as nested dicts of arrays."""

    inputs: Any
    params: Any
    outputs: Any


def distance(got: Any, expected: Any, least: float = 1e-3) -> float:
    """Return how far results are off: the largest of the leaves' relative root-mean-squares.

    Relative to the expected leaf, or to `least` of the largest leaf if that is more: the gradient
    of a bias that has none is rounding. Infinite where shapes or non-finite numbers differ.
    """
    expected = jax.tree.map(np.asarray, expected)
    got = jax.tree.map(np.asarray, got)
    if jax.tree.structure(got) != jax.tree.structure(expected):
        return np.inf
    pairs = list(zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True))
    if any(a.shape != b.shape for a, b in pairs):
        return np.inf
    largest = max((_size(b) for _, b in pairs), default=0.0)
    return max((_off(a, b, least * largest) for a, b in pairs), default=0.0)


def _size(x: np.ndarray) -> float:
    x = np.asarray(x, np.complex128 if np.iscomplexobj(x) else np.float64)
    finite = x[np.isfinite(x)]
    return float(np.sqrt(np.mean(np.abs(finite) ** 2))) if finite.size else 0.0


def _off(got: np.ndarray, expected: np.ndarray, least: float) -> float:
    wide = np.complex128 if np.iscomplexobj(expected) else np.float64
    got, expected = got.astype(wide), expected.astype(wide)
    finite = np.isfinite(expected)
    if not np.array_equal(finite, np.isfinite(got)) or np.any(got[~finite] != expected[~finite]):
        return np.inf
    off = _size(np.where(finite, got, 0) - np.where(finite, expected, 0))
    return off / max(_size(expected), least, 1e-300)


def save(stage: str, cases: dict[str, Case]) -> None:
    """Write a stage's cases: all numbers of a type end to end, each array once."""
    parts: dict[str, list[np.ndarray]] = {}
    index: dict[str, Any] = {}
    seen: dict[Any, Any] = {}
    for name, case in cases.items():
        for part, tree in case._asdict().items():
            for path, leaf in _walk(tree):
                x = np.asarray(leaf)
                row = parts.setdefault(x.dtype.name, [])
                place = [x.dtype.name, x.shape, sum(other.size for other in row)]
                known = seen.setdefault((x.dtype.name, x.shape, x.tobytes()), place)
                index["/".join([name, part, *path])] = known
                if known is place:
                    row.append(x.ravel())
    arrays = {name: np.concatenate(row) for name, row in parts.items()}
    text = np.frombuffer(json.dumps(index).encode(), np.uint8)
    np.savez_compressed(FOLDER / f"stages_{stage}.npz", index=text, **arrays)


def load(stage: str) -> dict[str, Case]:
    """Return the cases of a stage."""
    with np.load(FOLDER / f"stages_{stage}.npz") as file:
        arrays = {name: file[name] for name in file.files}
    cases: dict[str, dict[str, Any]] = {}
    for key, (kind, shape, first) in json.loads(arrays.pop("index").tobytes()).items():
        name, part, *path = key.split("/")
        tree = cases.setdefault(name, {"inputs": {}, "params": {}, "outputs": {}})[part]
        for place in path[:-1]:
            tree = tree.setdefault(_place(place), {})
        flat = arrays[kind][first : first + int(np.prod(shape))]
        tree[_place(path[-1])] = flat.reshape(shape)
    return {name: Case(**parts) for name, parts in cases.items()}


def _walk(tree: Any, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    if not isinstance(tree, dict):
        return [(path, tree)]
    return [leaf for key, branch in tree.items() for leaf in _walk(branch, (*path, str(key)))]


def _place(name: str) -> str | int:
    return int(name) if name.isdigit() else name  # flax numbers the layers of a list
