"""The examination of `ligo-doctor` as lines to read."""

from collections.abc import Iterator

from ligo_cpc_snn.runtime.device_trial import DeviceTrial
from ligo_cpc_snn.runtime.doctor import Examination


def lines(found: Examination) -> Iterator[str]:
    """Yield the lines of a report, section by section."""
    yield from _machine(found)
    yield from _platforms(found)
    yield from _choice(found)
    yield "Variables in force"
    width = max(len(variable.name) for variable in found.variables)
    for variable in found.variables:
        yield f"  {variable.name:{width}}  {variable.value}  ({variable.source})"
    yield "Kept on disk"
    for cache in found.caches:
        yield f"  {cache.bytes / 1e6:9.1f} MB  {cache.path}  ({cache.holds})"
    yield "To know"
    yield from (f"  {note}" for note in found.notes)


def _machine(found: Examination) -> Iterator[str]:
    host = found.host
    yield "Machine"
    yield f"  {host['system']}"
    yield (
        f"  memory {_gb(host['memory_bytes'])}, {_gb(host['memory_available_bytes'])} of it free; "
        f"swap {_gb(host['swap_used_bytes'])} of {_gb(host['swap_bytes'])} in use"
    )
    yield from (f"  {driver}" for driver in found.drivers)
    yield "Versions"
    yield f"  {', '.join(f'{name} {version}' for name, version in found.versions.items())}"


def _platforms(found: Examination) -> Iterator[str]:
    yield "Platforms"
    for name, said in found.platforms.items():
        yield f"  {name:5} {said}"
    yield "Plug-ins of JAX"
    if not found.plugins:
        yield "  none"
    for tried in found.plugins:
        plugin = tried.plugin
        origin = f"{plugin.distribution or 'no distribution'}, found as {plugin.found_by}"
        yield f"  {plugin.module} ({origin})"
        yield f"    {_outcome(tried.trial)}"


def _choice(found: Examination) -> Iterator[str]:
    chosen = found.chosen
    yield "A run that starts now"
    if chosen.platform and found.healthy:
        yield f"  takes {chosen.platform}: {chosen.reason}"
    elif chosen.platform:
        yield f"  would take {chosen.platform} ({chosen.reason}), which is not shown to work:"
    else:
        yield f"  does not start: {chosen.reason}"
        yield "  runtime.fallback=true, the default of a search, takes the CPU instead"
    if (chosen.auto, chosen.auto_reason) != (chosen.platform, chosen.reason):
        yield f"  auto alone takes {chosen.auto or 'nothing'}: {chosen.auto_reason}"
    if found.device is not None:
        yield f"  tried: {_outcome(found.device)}"
    yield "Found fastest by ligo-optimize"
    yield from (f"  {one}" for one in found.tuned or ["nothing yet: heuristics decide"])


def _outcome(trial: DeviceTrial) -> str:
    """Say how a trial ended."""
    if trial.late:
        return f"{trial.failure}: it hangs, or it is slow and --seconds has to be more"
    if not trial.works:
        return f"does not work: {trial.failure} ({trial.seconds:.1f} s)"
    memory = "" if trial.memory_bytes is None else f", {_gb(trial.memory_bytes)} for XLA"
    wide = "with" if trial.wide_numbers else "without"
    return (
        f"works: {trial.count} x {trial.kind} ({trial.platform}){memory}, {wide} complex and "
        f"64-bit numbers ({trial.seconds:.1f} s)"
    )


def _gb(size: str | int) -> str:
    return f"{int(size) / 1e9:.1f} GB"
