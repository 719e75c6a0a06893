"""First filters of the multirate encoder: the quadrature pairs of given signals."""

import numpy as np
from jaxtyping import Complex, Float

from ligo_cpc_snn.models.multirate import ANTI_ALIAS_TAPS, Layout, anti_alias

Filters = dict[str, Float[np.ndarray, "..."]]


def filters_of(
    templates: Complex[np.ndarray, "pair time"],
    *,
    end: int,
    layout: Layout,
    fast_rank: int,
    slow_rank: int,
) -> tuple[Filters, float]:
    """Return the parameters whose amplitudes are the templates' matched-filter outputs.

    The templates' parts at the two rates are expanded in their principal components, the
    slow parts of all phases in common, and the rest is left out.

    Args:
        templates: whitened signals, one quadrature in the real and one in the imaginary part.
        end: sample just after the last one that the filters see.
        layout: of the encoder.
        fast_rank, slow_rank: components kept; fewer are filled up with zeros.

    Returns:
        `fast`, `slow` and `mix` of `MultirateEncoder`, and the share of the templates' energy
        that they hold.

    Raises:
        ValueError: the templates are shorter than the filters.
    """
    fast, slow = _fast_part(templates, end, layout), _slow_part(templates, end, layout)
    norm = np.sqrt(np.sum(fast.real**2, -1) + np.sum(slow.real**2, axis=(1, 2)) / layout.phases)
    fast, slow = fast / norm[:, None], slow / norm[:, None, None]
    basis_fast, mix_fast = _components(fast, fast_rank)
    basis_slow, mix_slow = _components(slow.reshape(len(slow), -1), slow_rank)
    phases = layout.phases
    slow_kernel = np.sqrt(phases) * basis_slow.reshape(slow_rank, phases, layout.slow)
    mix = np.concatenate([mix_fast, mix_slow / np.sqrt(phases)]).astype(np.float32)
    kept = (np.sum(mix_fast**2) + np.sum(mix_slow**2) / phases) / (2 * len(templates))
    filters = {
        "fast": basis_fast.T.astype(np.float32),
        "slow": slow_kernel.transpose(2, 1, 0).astype(np.float32),
        "mix": mix,
    }
    return filters, float(kept)


def _fast_part(templates: np.ndarray, end: int, layout: Layout) -> np.ndarray:
    if end - layout.fast < 0 or end > templates.shape[1]:
        raise ValueError(
            f"templates of {templates.shape[1]} samples, filters of {layout.fast} that end at "
            f"{end}: lower model.encoder.fast_seconds"
        )
    return templates[:, end - layout.fast : end]


def _slow_part(templates: np.ndarray, end: int, layout: Layout) -> np.ndarray:
    """Return each phase's slice of the decimated templates, shape (pair, phase, tap)."""
    taps = ANTI_ALIAS_TAPS * layout.decimation
    need = (layout.fast_delay + layout.slow) * layout.decimation + taps + layout.decimation
    # Where a signal has not begun yet there is nothing.
    padded = np.pad(templates, ((0, 0), (need, layout.decimation)))
    kernel, slices = anti_alias(layout.decimation), []
    for phase in range(layout.phases):
        newest = need + end - 1 + layout.decimation - (phase + 1) * layout.step
        ends = newest - layout.decimation * (np.arange(layout.slow)[::-1] + layout.fast_delay)
        windows = padded[:, ends[:, None] + np.arange(-taps + 1, 1)]
        slices.append(windows @ kernel)
    return np.stack(slices, axis=1)


def _components(parts: np.ndarray, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """Return basis rows and the (rank, 2 pairs) matrix that makes the parts of them."""
    both = np.concatenate([parts.real, parts.imag])
    left, size, right = np.linalg.svd(both, full_matrices=False)
    kept = min(rank, size.size)
    basis, mix = np.zeros((rank, both.shape[1])), np.zeros((rank, both.shape[0]))
    basis[:kept], mix[:kept] = right[:kept], (left[:, :kept] * size[:kept]).T
    return basis, mix
