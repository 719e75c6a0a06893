"""Which figures a run's files allow, each with its title and how to read it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from matplotlib.figure import Figure

from ligo_cpc_snn.reports import (
    data_figures,
    glitch_figures,
    live_detection,
    live_training,
    panels,
    quality_figures,
)
from ligo_cpc_snn.reports import detection_figures as detection
from ligo_cpc_snn.reports import event_figures as events
from ligo_cpc_snn.reports import spike_figures as spikes
from ligo_cpc_snn.reports import training_figures as training
from ligo_cpc_snn.reports.run_files import RunFiles
from ligo_cpc_snn.reports.theme import LIGHT, Theme, headed_png


@dataclass(frozen=True)
class Plot:
    """A figure of the report, drawn when asked for: as a picture, interactive, or both."""

    name: str  # of its file
    section: str
    title: str
    caption: str
    draw: Callable[[Theme], Figure] | None
    live: Callable[[], go.Figure] | None = None

    def picture(self, theme: Theme = LIGHT) -> bytes:
        """Return the static figure as a PNG under its title, for a notebook.

        Raises:
            ValueError: it is interactive only.
        """
        if self.draw is None:
            raise ValueError(f"figure {self.name} is interactive only: use its live()")
        return headed_png(self.draw(theme), self.title, theme)


def plots(files: RunFiles) -> list[Plot]:
    """Return the figures that the saved files of a run allow, in the order of the page."""
    parts = (_detection, _event, _data, _glitches, _spikes, _training)
    return [plot for part in parts for plot in part(files)]


def _detection(files: RunFiles) -> Iterator[Plot]:
    measured = files.metrics.get("detection", {})
    scores = files.evaluation
    curves = measured.get("efficiency", [])
    if curves:
        yield Plot(
            "efficiency", "Detection", "Signals found, by their loudness",
            "Fraction of injected signals above the threshold that noise windows exceed at the "
            "stated rate. Bands are 95 % intervals of the number of signals found.",
            lambda theme: detection.efficiency_curves(measured["snrs"], curves, theme=theme),
            lambda: live_detection.efficiency(measured["snrs"], curves),
        )  # fmt: skip
    if not scores:
        return
    noise, signal = np.ravel(scores["noise_scores"]), scores["signal_scores"]
    snrs = [float(snr) for snr in scores["snrs"]]
    areas = measured.get("auc", []) if measured.get("snrs") == snrs else []
    yield Plot(
        "roc", "Detection", "Receiver operating characteristic",
        "One curve per network SNR. The horizontal axis is logarithmic: a search lives at its "
        "left end. Left of the shaded edge fewer than ten noise windows set the threshold.",
        lambda theme: detection.roc_curves(noise, signal, snrs, areas, theme=theme),
        lambda: live_detection.roc(noise, signal, snrs, areas),
    )  # fmt: skip
    thresholds = [
        {"value": curve["threshold"]["value"], "nominal_rate": curve["threshold"]["nominal_rate"]}
        for curve in curves
    ]
    yield Plot(
        "scores", "Detection", "The statistic of noise and of signals",
        "Distribution of the window's logit, unbounded on purpose. What matters is how far the "
        "tail of the noise (filled) reaches into the signals.",
        lambda theme: detection.score_histograms(noise, signal, snrs, thresholds, theme=theme),
    )  # fmt: skip


def _event(files: RunFiles) -> Iterator[Plot]:
    event = files.event
    if not event:
        return
    yield Plot(
        "event", "Event", f"{event['event_name']!s} in recorded strain",
        "The trained network run over recorded strain of the event. The green band marks the "
        "time of the merger set in the configuration, the triangle the loudest value of the span.",
        lambda theme: events.event_statistic(event, theme=theme),
        lambda: live_detection.event(event),
    )  # fmt: skip
    if events.backgrounds(event):
        yield Plot(
            "background", "Event", "Background of the event",
            "The same network over held-out noise: in true time (zero lag) and with the detectors "
            "shifted against each other (time slides), where no astrophysical signal can be in "
            "coincidence.",
            lambda theme: events.event_background(event, theme=theme),
        )  # fmt: skip


def _data(files: RunFiles) -> Iterator[Plot]:
    data, q = files.data, files.q_transform
    if q:
        yield Plot(
            "qtransform", "Data", f"{q['event_name']!s} before and after whitening",
            "Energy of the Q-transform over its median in the picture. Before whitening the low "
            "frequencies and the lines outshine everything; after it the chirp stands out.",
            lambda theme: glitch_figures.q_transforms(q, theme=theme),
        )  # fmt: skip
    if "psd_asd" in data:
        yield Plot(
            "psds", "Data", "Spectral densities of the noise",
            f"{_densities(len(data['psd_asd']))} The signals in a window are whitened with the "
            "density of its noise.",
            lambda theme: data_figures.spectral_densities(data, theme=theme),
        )  # fmt: skip
    if data_figures.shown_parameters(data):
        loudness = "The SNR is that of the drawn distance"
        if files.setting("data.signals.loudness", "drawn") == "drawn":
            loudness += "; training draws SNRs of its own and scales the signals to them"
        yield Plot(
            "population", "Data", "Population of the sources",
            f"Masses in the detectors' frame, parameters that vary only. {loudness}.",
            lambda theme: data_figures.population(data, theme=theme),
        )  # fmt: skip
    if len(data.get("quality_gps", ())):
        cut = not files.setting("data.glitches.real_fraction", 0.0)
        which = (
            "All of it was kept, because data.glitches.real_fraction asks for the glitches in it"
        )
        if cut:
            which = (
                "Cut from the training noise of all detectors: filled; kept in other sets: hollow"
            )
        yield Plot(
            "rejected", "Data", "Stretches of noise that were judged bad",
            "Left: the largest of each stretch's scores over its threshold, grey where it is "
            f"good. {which}. Right: how well "
            "the stretches kept by a threshold predict the held-out median; the dot is the "
            "threshold chosen.",
            lambda theme: quality_figures.rejected_stretches(data, cut=cut, theme=theme),
        )  # fmt: skip


def _densities(number: int) -> str:
    if number == 1:
        return "The density that the training noise was whitened with."
    return (
        "Thin: the densities that the training noise was whitened with; band: 5th to 95th "
        "percentile."
    )


def _glitches(files: RunFiles) -> Iterator[Plot]:
    data = files.data
    if len(data.get("glitch_strain", ())):
        yield Plot(
            "glitches", "Data", "Simulated glitches",
            "Whitened glitches of each family, scaled to the same height, and the spectrogram of "
            "the uppermost. In training each is in one detector only.",
            lambda theme: glitch_figures.glitch_gallery(data, theme=theme),
        )  # fmt: skip
    if len(data.get("transient_snr", ())):
        names = [str(name) for name in files.setting("data.detectors", [])]
        yield Plot(
            "transients", "Data", "Transients found in the training noise",
            "Excess power in single-detector noise, one point for each transient.",
            lambda theme: glitch_figures.real_transients(data, names, theme=theme),
        )  # fmt: skip


def _spikes(files: RunFiles) -> Iterator[Plot]:
    traces = files.traces
    if traces and spikes.cases(traces):
        detectors = files.setting("data.detectors", None)
        yield Plot(
            "windows", "Spikes", "Three windows on their way through the network",
            "From whitened strain to the logit of each frame. The dashed line is the merger. "
            "Latents are standardised per feature; the membranes are those of the five neurons "
            "that vary most.",
            lambda theme: spikes.example_windows(traces, detectors, theme=theme),
        )  # fmt: skip
    history = files.history
    if panels.available([panels.RATES], history):
        low = float(files.setting("model.bridge.silent_below", 0.005))
        high = float(files.setting("model.bridge.saturated_above", 0.6))
        yield Plot(
            "spike_rates", "Spikes", "Spike rates during training",
            f"Spikes per neuron and frame; dashed: validation. A bridge below {low:g} or above "
            f"{high:g} carries little information and is reported as a fault.",
            lambda theme: training.spike_rates(history, low, high, theme=theme),
            lambda: live_training.spike_rates(history, low, high),
        )  # fmt: skip


def _training(files: RunFiles) -> Iterator[Plot]:
    history = files.history
    if panels.loss_names(history):
        yield Plot(
            "losses", "Training", "Losses",
            "Thin: every logged value; thick: their running mean; dashed: validation. The SNR of "
            "the training signals falls during a phase, so a loss may rise while the network "
            "improves. Shading separates the phases; the total means something else in each.",
            lambda theme: training.losses(history, theme=theme),
            lambda: live_training.training_curves(
                {"run": history}, live_training.loss_panels(history)
            ),
        )  # fmt: skip
    groups = (
        ("progress", "Validation during training", (panels.PROGRESS, panels.SNR),
         "Dashed: validation, whose signals are as loud as at the end of the phase; the curriculum "
            "makes the training signals quieter on the way."),
        ("cpc", "Contrastive predictive coding", (panels.ACCURACY, panels.SPREAD),
         "How often the true future is picked among the negatives, and the spread of the "
         "latents, which falls to zero when the encoder collapses."),
        ("optimiser", "Optimiser", (panels.GRADIENT, panels.LEARNING_RATE),
         "The gradient's norm before clipping, in all and of each part of the network, and the "
         "learning rate."),
        ("resources", "Speed and memory", (panels.THROUGHPUT, panels.MEMORY),
         "Examples per second, and the largest memory in use so far."),
    )  # fmt: skip
    for name, title, shown, caption in groups:
        present = panels.available(shown, history)
        if present:
            yield Plot(
                name, "Training", title, caption, _curves(files, present),
                _live_curves(files, present),
            )  # fmt: skip


def _curves(files: RunFiles, shown: list[panels.Panel]) -> Callable[[Theme], Figure]:
    return lambda theme: training.curves(files.history, shown, theme=theme)


def _live_curves(files: RunFiles, shown: list[panels.Panel]) -> Callable[[], go.Figure]:
    return lambda: live_training.training_curves({"run": files.history}, shown)
