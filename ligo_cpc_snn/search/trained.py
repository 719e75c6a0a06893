"""A trained detector as the search needs it: its network, and how its strain is conditioned."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
from flax import nnx

from ligo_cpc_snn.config.model_schema import ModelConfig
from ligo_cpc_snn.models.detector import Detector
from ligo_cpc_snn.models.kernels import PLAIN, Kernels

AT_CHANCE = "this detector does not tell signals from noise"


@dataclass(frozen=True)
class TrainedDetector:
    """Parameters, and everything that decides what they are applied to.

    Args:
        name: for the user.
        model: the network's settings.
        params: of `Detector`, a nested dict of arrays.
        detectors: names, in the order of the strain's second axis.
        sample_rate_hz: of the whitened strain.
        band_hz: pass band (low, high) of the whitening filter, Hz.
        filter_seconds: length of the whitening filter, s.
        psd_segment_seconds: of Welch's method, s.
        time_offset_seconds: what a trigger's time lies after the merger at the geocentre.
        warm_up_seconds: after a gap, before the statistic means what it was trained to mean.
        card: what is known about it: data, seeds, commit, numbers, limits.
        kernels: how it computes here; no part of its file.
    """

    name: str
    model: ModelConfig
    params: Any
    detectors: tuple[str, ...]
    sample_rate_hz: int
    band_hz: tuple[float, float]
    filter_seconds: float
    psd_segment_seconds: float
    time_offset_seconds: float
    warm_up_seconds: float
    card: dict[str, Any]
    kernels: Kernels = PLAIN

    @property
    def caution(self) -> str | None:
        """What its card says where its training taught it nothing."""
        limits = self.card.get("limits")
        told = limits if isinstance(limits, list) else []
        return next((x for x in told if isinstance(x, str) and x.startswith(AT_CHANCE)), None)

    @cached_property
    def _graph(self) -> nnx.GraphDef[Detector]:
        def build() -> Detector:
            return Detector(
                self.model,
                detectors=len(self.detectors),
                sample_rate_hz=self.sample_rate_hz,
                rngs=nnx.Rngs(0),
                kernels=self.kernels,
            )

        return nnx.split(nnx.eval_shape(build))[0]

    def assemble(self, params: Any) -> Detector:
        """Put the network together, inside or outside of jit."""
        return nnx.merge(self._graph, params)

    @cached_property
    def network(self) -> Detector:
        """The network with its own parameters on the default device."""
        return self.assemble(jax.device_put(self.params))

    @property
    def frame_samples(self) -> int:
        """Samples between two values of the statistic."""
        return self.network.frame_samples

    @property
    def frame_seconds(self) -> float:
        """Time between two values of the statistic, s."""
        return self.frame_samples / self.sample_rate_hz
