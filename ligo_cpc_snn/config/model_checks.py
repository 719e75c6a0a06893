"""Checks of the model: shapes that fit each other and the window."""

from collections.abc import Iterator

from ligo_cpc_snn.config.model_schema import BridgeKind, EncoderConfig, EncoderKind
from ligo_cpc_snn.config.own_encoder import place_of
from ligo_cpc_snn.config.schema import Config


def _encoder(cfg: Config) -> Iterator[str]:
    encoder = cfg.model.encoder
    nearest = max(1, round(encoder.patch / max(1, encoder.stride))) * encoder.stride
    if encoder.kind is EncoderKind.patch and encoder.patch % encoder.stride:
        yield (
            f"model.encoder.patch={encoder.patch}: expected a multiple of model.encoder.stride="
            f"{encoder.stride}, such as {nearest}"
        )
    dilations = cfg.model.context.dilations
    if any(dilation < 1 for dilation in dilations):
        yield f"model.context.dilations={dilations}: expected each to be 1 or more"
    if encoder.kind is EncoderKind.conv:
        yield from _convolutions(encoder.conv_kernels, encoder.conv_strides)
    yield from _own(encoder)


def _own(encoder: EncoderConfig) -> Iterator[str]:
    if encoder.kind is EncoderKind.own:
        try:
            place_of(encoder.own)
        except ValueError as error:
            yield str(error)
    elif encoder.own:
        yield (
            f"model.encoder.own={encoder.own}: not read with model.encoder.kind="
            f"{encoder.kind.value}; set model.encoder.kind=own or leave it out"
        )


def _convolutions(kernels: list[int], strides: list[int]) -> Iterator[str]:
    if not kernels or len(kernels) != len(strides):
        yield (
            f"model.encoder.conv_kernels={kernels} and conv_strides={strides}: expected two lists "
            "of the same length, one entry a layer"
        )
    for kernel, stride in zip(kernels, strides, strict=False):
        if stride < 1 or kernel < stride or kernel % stride:
            yield (
                f"model.encoder.conv_kernels={kernels}: expected each to be a multiple of its "
                f"stride in model.encoder.conv_strides={strides}; {kernel} is none of {stride}"
            )


def _window(cfg: Config) -> Iterator[str]:
    data, samples = cfg.data, cfg.model.encoder.frame_samples
    if data.window_samples % samples:
        lower = data.window_samples // samples * samples or samples
        yield (
            f"data.window_seconds={data.window_seconds} is {data.window_samples} samples, not a "
            f"whole number of latent frames of {samples} samples; use {lower / data.sample_rate_hz}"
        )
    if data.window_seconds > data.signals.duration_seconds:
        yield (
            f"data.window_seconds={data.window_seconds}: longer than the waveforms, raise "
            f"data.signals.duration_seconds={data.signals.duration_seconds}"
        )


def _spiking(cfg: Config) -> Iterator[str]:
    bridge, snn = cfg.model.bridge, cfg.model.snn
    if not snn.widths or min(snn.widths) < 1:
        yield f"model.snn.widths={snn.widths}: expected one or more layers of 1 or more neurons"
    if snn.readout_seconds <= 0:
        yield f"model.snn.readout_seconds={snn.readout_seconds}: expected more than 0"
    if bridge.kind is not BridgeKind.none and bridge.threshold <= 0:
        yield f"model.bridge.threshold={bridge.threshold}: expected more than 0"
    if not 0 <= bridge.silent_below < bridge.saturated_above <= 1:
        yield (
            f"model.bridge.silent_below={bridge.silent_below} and saturated_above="
            f"{bridge.saturated_above}: expected 0 <= silent < saturated <= 1"
        )


CHECKS = (
    _encoder,
    _window,
    _spiking,
)
