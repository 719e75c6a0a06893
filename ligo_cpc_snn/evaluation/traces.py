"""What the network does inside, window by window: latents, spikes, membranes, logits."""

from typing import Any

import numpy as np
from jaxtyping import Float

from ligo_cpc_snn.models.detector import Detection


def traces_of(
    cases: list[str],
    strain: Float[np.ndarray, "batch detector time"],
    detection: Detection,
    sequences: int,
) -> dict[str, np.ndarray]:
    """Return the arrays of a few windows, named `<case>_<what>`, for the report.

    Args:
        cases: one name per window, as `loud`, `quiet`, `noise`.
        strain: the windows.
        detection: of the detector, for the same windows.
        sequences: of the encoder per window; the first one's latents are shown.
    """
    out: dict[str, Any] = {}
    for i, case in enumerate(cases):
        out[f"{case}_strain"] = strain[i]
        out[f"{case}_latents"] = detection.representation.latents[i * sequences]
        out[f"{case}_bridge_spikes"] = detection.bridge_spikes[i]
        out[f"{case}_frame_logits"] = detection.frame_logits[i]
        for n, layer in enumerate(detection.layers):
            out[f"{case}_layer{n}_spikes"] = layer.spikes[:, i]
            out[f"{case}_layer{n}_membrane"] = layer.membrane[:, i]
    return {name: np.asarray(x) for name, x in out.items()}
