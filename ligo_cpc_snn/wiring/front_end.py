"""Where the filters of a multirate encoder begin: at the run's own training signals."""

import logging

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ligo_cpc_snn.config.model_schema import EncoderKind, InitialFilters
from ligo_cpc_snn.config.schema import Config
from ligo_cpc_snn.dataset.banks import Banks
from ligo_cpc_snn.dataset.sampling import draw_noise_windows
from ligo_cpc_snn.models.multirate import MultirateEncoder, layout_of
from ligo_cpc_snn.models.multirate_filters import filters_of
from ligo_cpc_snn.rng import stream
from ligo_cpc_snn.signals.filter_bank import choose_templates
from ligo_cpc_snn.stages import stage
from ligo_cpc_snn.training.learner import Params, Structure

log = logging.getLogger(__name__)

SIGNALS = 2048  # looked at to choose the filters
DELAY_SECONDS = 0.05  # twice the light travel between detectors, by which banked mergers differ
NOISE_WINDOWS = 64  # in which amplitudes are measured


def begins_at_signals(cfg: Config) -> bool:
    """Return whether the encoder's filters are made from signals."""
    encoder = cfg.model.encoder
    return encoder.kind is EncoderKind.multirate and encoder.initial is InitialFilters.signals


@stage("first filters")
def first_filters(cfg: Config, structure: Structure, params: Params, banks: Banks) -> Params:
    """Return parameters whose encoder filters for the banked signals.

    Latents then begin at zero mean and unit variance in the banked noise.

    Args:
        cfg: of the run; nothing is changed where `begins_at_signals` is false.
        params: initial parameters.
        banks: of training, or of validation.
    """
    if not begins_at_signals(cfg):
        return params
    encoder, rate = cfg.model.encoder, cfg.data.sample_rate_hz
    strain = np.asarray(banks.signals.strain[:SIGNALS], np.float32)
    # One detector of each, all of them in turn: amplitudes are taken one by one.
    number = np.arange(len(strain)) % strain.shape[1]
    bank = choose_templates(
        strain[np.arange(len(strain)), number], encoder.features, round(DELAY_SECONDS * rate)
    )
    merger = int(np.median(np.argmax(np.abs(bank.templates), axis=1)))
    filters, kept = filters_of(
        bank.templates,
        end=min(merger + round(encoder.after_seconds * rate), strain.shape[-1]),
        layout=layout_of(encoder, rate),
        fast_rank=encoder.fast_rank,
        slow_rank=encoder.slow_rank,
    )
    log.info("encoder: %d filter pairs hold %.3f of their signals' power", encoder.features, kept)
    own = params["detector"]["encoder"] | {k: jnp.asarray(v) for k, v in filters.items()}
    filled = params | {"detector": params["detector"] | {"encoder": own}}
    mean, deviation = _amplitudes(cfg, structure, filled, banks)
    own |= {"offset": mean, "scale": 1.0 / deviation}
    return filled


def _amplitudes(
    cfg: Config, structure: Structure, params: Params, banks: Banks
) -> tuple[Float[Array, "feature"], Float[Array, "feature"]]:
    """Return mean and deviation of each amplitude in noise, after the filters have filled."""

    @jax.jit
    def measure(params: Params, banks: Banks) -> tuple[Array, Array]:
        key, window = stream(cfg.seed, "amplitudes"), cfg.data.window_samples
        strain, _ = draw_noise_windows(banks.noise, key, window, NOISE_WINDOWS)
        encoder = structure.learner(params).detector.encoder
        assert isinstance(encoder, MultirateEncoder)
        whole = window - window % encoder.frame_samples
        x = strain[..., :whole].reshape(-1, whole)
        amplitude, _ = encoder.amplitudes(x, encoder.initial_state(x.shape[0]))
        late = amplitude[:, amplitude.shape[1] // 2 :]
        return jnp.mean(late, axis=(0, 1)), jnp.std(late, axis=(0, 1))

    return measure(params, banks)
