"""An encoder of the user's own, found by the name in `model.encoder.own` and looked at first."""

from importlib import import_module
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from ligo_cpc_snn.config.model_schema import EncoderConfig
from ligo_cpc_snn.config.own_encoder import place_of
from ligo_cpc_snn.errors import UserError
from ligo_cpc_snn.models.kernels import Kernels

NEEDED = ("frame_samples", "initial_state")


def build_own_encoder(
    cfg: EncoderConfig,
    *,
    channels: int,
    sample_rate_hz: int,
    rngs: nnx.Rngs,
    kernels: Kernels,
) -> Any:
    """Return `Class(cfg, channels=, sample_rate_hz=, rngs=, kernels=)` of `cfg.own`.

    Raises:
        UserError: there is no such class, it is no `flax.nnx.Module`, or what it makes of strain
            is not what the detector needs of an `Encoder`.
    """
    encoder = _class_of(cfg.own)(
        cfg, channels=channels, sample_rate_hz=sample_rate_hz, rngs=rngs, kernels=kernels
    )
    for name in NEEDED:
        if not hasattr(encoder, name):
            raise UserError(f"model.encoder.own={cfg.own}: it has no {name}, which a search needs")
    if encoder.frame_samples != cfg.stride:
        raise UserError(
            f"model.encoder.own={cfg.own}: its frame_samples={encoder.frame_samples}, expected "
            f"model.encoder.stride={cfg.stride}: make them the same"
        )
    _check_shapes(encoder, cfg, channels)
    return encoder


def _class_of(own: str) -> Any:
    try:
        module, name = place_of(own)
    except ValueError as error:
        raise UserError(str(error)) from error
    try:
        found = getattr(import_module(module), name, None)
    except ModuleNotFoundError as error:
        raise UserError(
            f"model.encoder.own={own}: {module} cannot be imported, no module {error.name} on "
            "Python's path"
        ) from error
    if found is None:
        raise UserError(f"model.encoder.own={own}: module {module} has no {name}")
    if not (isinstance(found, type) and issubclass(found, nnx.Module)):
        raise UserError(
            f"model.encoder.own={own}: {name} is no flax.nnx.Module; derive it from nnx.Module"
        )
    return found


def _check_shapes(encoder: Any, cfg: EncoderConfig, channels: int) -> None:
    """Put two frames of strain through, as shapes only."""

    def twice(strain: jax.Array) -> tuple[Any, Any, Any]:
        before = encoder.initial_state(2)
        latents, after = encoder(strain, before)
        return latents, before, after

    strain = jax.ShapeDtypeStruct((2, 2 * cfg.stride, channels), jnp.float32)
    latents, before, after = jax.eval_shape(twice, strain)
    expected = (2, 2, cfg.features)
    if getattr(latents, "shape", None) != expected:
        raise UserError(
            f"model.encoder.own={cfg.own}: latents {getattr(latents, 'shape', latents)} of strain "
            f"{strain.shape}, expected {expected}: batch, frames, model.encoder.features"
        )
    shapes = [jax.tree.map(lambda x: (x.shape, x.dtype), state) for state in (before, after)]
    if shapes[0] != shapes[1]:
        raise UserError(
            f"model.encoder.own={cfg.own}: its state is {shapes[0]} before and {shapes[1]} after a "
            "call (shape, dtype); expected the same, so that a search can go on from it"
        )
