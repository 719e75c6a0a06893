"""Which logged numbers are drawn together, and how their names read."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ligo_cpc_snn.reports.history import History


@dataclass(frozen=True)
class Panel:
    """One panel over steps: its title, the names it draws (a pattern), and its vertical axis."""

    title: str
    pattern: str
    label: str
    limits: tuple[float, float] | None = None
    log: bool = False  # when the values span more than a factor of 20
    smooth: bool = True

    def names(self, history: History) -> list[str]:
        """Return the logged names that belong here."""
        return [name for name in history.names() if re.search(self.pattern, name)]


PROGRESS = Panel("Validation", r"^(auc|accuracy)$", "fraction", limits=(0, 1.02))
SNR = Panel("SNR of the training signals", r"^data/snr$", "mean network SNR", smooth=False)
ACCURACY = Panel(
    "Right future picked", r"^infonce/accuracy$", "fraction of anchors", limits=(0, 1.02)
)
SPREAD = Panel("Spread of the latents (0: collapsed)", r"^infonce/spread$", "spread, 0 to 1")
RATES = Panel("Spike rates", r"^spike_rate/", "spikes per neuron and frame", log=True)
GRADIENT = Panel("Gradient norm before clipping", r"^gradient_norm/", "norm", log=True)
LEARNING_RATE = Panel("Learning rate", r"^learning_rate$", "learning rate", smooth=False)
THROUGHPUT = Panel("Throughput", r"^examples_per_second$", "examples / s")
MEMORY = Panel("Peak memory", r"^peak_memory_gb$", "GB", smooth=False)
_LOSS = re.compile(r"^loss(/|$)")


def readable(name: str) -> str:
    """Return the last part of a metric's name as words."""
    words = name.split("/")[-1].replace("_", " ")
    for plain, proper in (("infonce", "InfoNCE"), ("auc", "AUC"), ("snr", "SNR"), ("snn", "SNN")):
        words = re.sub(rf"\b{plain}\b", proper, words)
    return re.sub(r"\b(SNN|layer) ?(\d+)$", lambda m: f"{m[1]} layer {int(m[2]) + 1}", words)


def loss_names(history: History) -> list[str]:
    """Return the names of the losses logged, the total first."""
    names = [name for name in history.names() if _LOSS.search(name)]
    return sorted(names, key=lambda name: (name not in ("loss", "loss/total"), name))


def available(panels: Sequence[Panel], history: History) -> list[Panel]:
    """Return the panels for which something finite was logged."""
    return [
        panel
        for panel in panels
        if any(
            len(history.series(name, split)[0])
            for name in panel.names(history)
            for split in ("train", "validation")
        )
    ]
