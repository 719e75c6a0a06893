"""Which figures a profile allows, each with its title and how to read it."""

from collections.abc import Mapping
from typing import Any

from ligo_cpc_snn.reports import live_profile, profile_figures
from ligo_cpc_snn.reports.figures import Plot
from ligo_cpc_snn.reports.profile_figures import SECTION_CALL, SECTION_RUN


def profile_plots(record: Mapping[str, Any]) -> list[Plot]:
    """Return the figures that a profile allows."""
    plots = []
    if record.get("spans"):
        plots.append(
            Plot(
                "flame_stages", SECTION_RUN, "Stages over time",
                "Each bar is a stage, those inside it are below it; other threads follow. Below: "
                "memory resident in the process, and in use on a device that has its own.",
                lambda theme: profile_figures.stages_flame(record, theme=theme),
                lambda: live_profile.stages_flame(record),
            )
        )  # fmt: skip
    trace = record.get("trace", {})
    if trace.get("events"):
        plots.append(
            Plot(
                "flame_call", SECTION_CALL, f"One call of {trace['program']}",
                "From JAX's trace, the last call traced: coloured bars are XLA's operations, grey "
                "ones the runtime; the busiest threads or streams are shown. A GPU works ahead of "
                "its host, so its bars may lie later than the call that started them.",
                lambda theme: profile_figures.call_flame(trace, theme=theme),
                lambda: live_profile.call_flame(trace),
            )
        )  # fmt: skip
    return plots
