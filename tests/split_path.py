"""Run by test_split_path.py on two CPU devices: the second stands for a GPU of real numbers only.

Prints what was compiled for which device, and which wide arrays were seen where.
"""

import json
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import monitoring

from ligo_cpc_snn.signals import double_precision

COMPILED = "/jax/core/compile/backend_compile_duration"
WIDE = ("c64[", "c128[", "f64[")


class Witness:
    """Keeps every program that is made, and the devices of arrays of complex or 64-bit numbers."""

    def __init__(self) -> None:
        self.programs: dict[int, Any] = {}
        self.wide_arrays: set[int] = set()
        monitoring.register_event_duration_secs_listener(self.look)

    def look(self, event: str = COMPILED, seconds: float = 0.0, **_: Any) -> None:
        if event != COMPILED:
            return
        for program in jax.devices()[0].client.live_executables():
            self.programs.setdefault(id(program), program)
        for array in jax.live_arrays():
            if np.dtype(array.dtype).kind == "c" or array.dtype == np.float64:
                self.wide_arrays |= {device.id for device in array.devices()}

    def seen(self) -> dict[str, Any]:
        self.look()
        rows = []
        for program in self.programs.values():
            text = program.hlo_modules()[0]
            wide = any(mark in text.to_string() for mark in WIDE)
            rows.append([text.name, [d.id for d in program.local_devices()], wide])
        return {"programs": rows, "wide_arrays": sorted(self.wide_arrays)}


def train(folder: Path) -> None:
    """Make banks, compile everything and train, as an entry point does once its platform runs."""
    from tiny import tiny

    from ligo_cpc_snn.wiring import run, session

    # One phase with all losses. The evaluation's programs are made; its figures are not.
    run.Run._conclude = lambda *_: None  # type: ignore[method-assign]
    steps = ["training.pretrain.steps=0", "training.probe.steps=0", "training.finetune.steps=4"]
    alone = ["runtime.distributed=off", "runtime.tuning=off"]
    folder.mkdir()
    assert session.run_session(tiny(*steps, *alone, run_dir=folder), folder, folder / "cache") == 0


def search() -> None:
    """Compute what a matched filter and an injection need, on a few small templates."""
    from ligo_cpc_snn.config.signals_schema import Approximant
    from ligo_cpc_snn.search.matched import filtering, phase_time, templates
    from ligo_cpc_snn.search.matched.bank import TemplateBank
    from ligo_cpc_snn.search.matched.placement import BankRanges
    from ligo_cpc_snn.search.matched.segments import FilterData
    from ligo_cpc_snn.search.matched.settings import MatchedFilterSettings
    from ligo_cpc_snn.signals.projection import project
    from ligo_cpc_snn.signals.waveforms import polarizations

    f = np.linspace(20.0, 60.0, 8)
    burst = {name: np.full(2, 40.0) for name in ("frequency_hz", "quality", "inclination")}
    sky = {name: np.zeros(2) for name in ("right_ascension", "declination", "polarization")}
    plus, cross = polarizations(Approximant.SineGaussian, burst | {"phase": np.zeros(2)}, f, 40.0)
    project(plus, cross, sky, f, ("H1", "L1"), 1e9)
    phase_time._signals(np.random.default_rng(0), ("H1", "L1"), 1.0, 4)

    zero = np.zeros(3)
    masses = {"mass_1": zero + 40, "mass_2": zero + 30, "spin_1z": zero, "spin_2z": zero}
    bank = TemplateBank(masses, BankRanges(), 20.0, "none", 0)
    # Waveforms at the nodes take 20 s to compile; training has evaluated some already.
    flat = np.ones((3, templates.NODES)), np.zeros((3, templates.NODES))
    templates.amplitudes_and_phases = lambda *_: flat  # type: ignore[assignment]
    settings = MatchedFilterSettings(threshold=0.0)
    grid = templates.filter_grid(bank, settings)
    width = grid.high - grid.low
    spectra = np.ones((2, width), np.complex64)
    data = FilterData(spectra, np.ones((1, width)), np.zeros(2, int), np.array([0.0, 64.0]), 128.0)
    spectra_of = templates.TemplateSpectra(bank, grid)
    assert filtering.find_triggers(data, spectra_of, grid, settings).snr.size


def main() -> None:
    folder = Path(sys.argv[1])
    assert jax.device_count() == 2
    jax.config.update("jax_default_device", jax.devices()[1])
    # No platform has double precision: so it is looked for on the first CPU device.
    double_precision.PLATFORMS_WITH_DOUBLE = ()
    witness = Witness()
    assert jnp.ones(1).device == jax.devices()[1]
    {"train": lambda: train(folder), "search": search}[sys.argv[2]]()
    print(json.dumps(witness.seen()))


if __name__ == "__main__":
    main()
