"""What a run takes of the memory, part by part, against its budget, with what would change it."""

import io
from typing import Any, NamedTuple

from rich import box
from rich.console import Console
from rich.table import Table

WIDTH = 118  # of the table, characters


class Part(NamedTuple):
    """A part of the memory: `device` or `host`; `together` parts are never there at one time.

    Of the programs only one runs at a time, so the largest of them counts.
    """

    name: str
    bytes: int
    place: str = "device"
    change: str = ""  # settings that would change it
    program: bool = False  # one of those of which the largest counts


class MemoryPlan(NamedTuple):
    """The parts of a run and its budgets in bytes; on a CPU the host's is the device's."""

    parts: list[Part]
    device_budget: int
    host_budget: int

    def needed(self, place: str) -> int:
        """Return the bytes that a place needs: everything that stays, and the largest program."""
        here = [part for part in self.parts if part.place == place]
        largest = max((part.bytes for part in here if part.program), default=0)
        return largest + sum(part.bytes for part in here if not part.program)

    def room(self, place: str = "device") -> int:
        """Return the bytes that are left of a budget; negative where it is too small."""
        budget = self.device_budget if place == "device" else self.host_budget
        return budget - self.needed(place)

    def places(self) -> list[str]:
        """Return `device`, and `host` where that is another memory with something in it."""
        return [p for p in ("device", "host") if any(part.place == p for part in self.parts)]

    def lines(self, width: int = WIDTH) -> str:
        """Return the plan as a table of text, `width` characters wide."""
        table = Table(box=box.SIMPLE, title="memory of this run, MB", title_justify="left")
        for name, justify in (("part", "left"), ("where", "left"), ("MB", "right")):
            table.add_column(name, justify=justify)  # type: ignore[arg-type]
        table.add_column("what would change it", ratio=1)
        for part in self.parts:
            note = " (largest counts)" if part.program else ""
            table.add_row(part.name + note, part.place, megabytes(part.bytes), part.change)
        table.add_section()
        for place in self.places():
            budget = self.device_budget if place == "device" else self.host_budget
            setting = "runtime.memory_budget_gb, memory_fraction, LIGO_MEM_FRACTION"
            if place == "host":
                setting = "runtime.host_memory_gb"
            table.add_row(f"all, at its peak, on the {place}", place, megabytes(self.needed(place)))
            table.add_row(f"budget of the {place}", place, megabytes(budget), setting)
        text = io.StringIO()
        Console(file=text, width=width, color_system=None).print(table)
        return "\n".join(line.rstrip() for line in text.getvalue().strip("\n").splitlines())

    def to_dict(self) -> dict[str, Any]:
        """Return the plan in plain values, bytes."""
        return {
            "parts": [part._asdict() for part in self.parts],
            "device_budget": self.device_budget,
            "host_budget": self.host_budget,
            "needed": {place: self.needed(place) for place in self.places()},
        }


def megabytes(size: float) -> str:
    """Return bytes as MB of 1e6 with three digits or all before the point."""
    return f"{size / 1e6:.3g}" if abs(size) < 1e9 else f"{size / 1e6:,.0f}"
