"""A small random detector, as the tests of the search's parts need it."""

from typing import Any

from flax import nnx

from ligo_cpc_snn.config.model_schema import ModelConfig
from ligo_cpc_snn.models.detector import Detector
from ligo_cpc_snn.search.trained import TrainedDetector

RATE = 512


def small_detector(seed: int = 0, **fields: Any) -> TrainedDetector:
    """Return a detector of H1 and L1 with 16 channels of features and frames of 1/32 s."""
    model = ModelConfig()
    model.encoder.features = model.context.features = 8
    model.context.dilations = [1]
    model.snn.widths = [12, 8]
    for path, value in fields.items():
        section, name = path.split("__")
        setattr(getattr(model, section), name, value)
    network = Detector(model, detectors=2, sample_rate_hz=RATE, rngs=nnx.Rngs(seed))
    return TrainedDetector(
        name="small",
        model=model,
        params=nnx.to_pure_dict(nnx.state(network)),
        detectors=("H1", "L1"),
        sample_rate_hz=RATE,
        band_hz=(30.0, 200.0),
        filter_seconds=1.0,
        psd_segment_seconds=2.0,
        time_offset_seconds=0.0,
        warm_up_seconds=0.5,
        card={},
    )
