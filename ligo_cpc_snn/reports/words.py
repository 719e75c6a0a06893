"""Times, durations and rates in the words of a report."""

from astropy.time import Time

from ligo_cpc_snn.units import YEAR_SECONDS

YEAR = YEAR_SECONDS
JOINT = "\N{NO-BREAK SPACE}"  # between a number and its unit
_UNITS = ((YEAR, "year"), (86400.0, "day"), (3600.0, "h"), (60.0, "min"), (1.0, "s"))


def duration(seconds: float) -> str:
    """Return a duration in the largest unit that it has one of, to three digits."""
    size, unit = next((u for u in _UNITS if seconds >= 0.9995 * u[0]), _UNITS[-1])
    number = seconds / size
    text = f"{number:,.0f}" if number >= 100 else f"{number:.3g}"
    plural = "s" if unit in ("year", "day") and text != "1" else ""
    return f"{text}{JOINT}{unit}{plural}"


def rate(per_year: float) -> str:
    """Return a false-alarm rate as one in a duration."""
    return f"1 per {duration(YEAR / per_year)}" if per_year > 0 else "0"


def utc(gps: float, digits: int = 3) -> str:
    """Return a GPS time as date and time of day in UTC."""
    text = Time(gps, format="gps", scale="tai").utc.to_value("iso", subfmt="date_hms")
    return str(text)[: 20 + digits] if digits else str(text)[:19]


def offset(seconds: float) -> str:
    """Return the size of a time difference with a unit that suits it."""
    size = abs(seconds)
    if size < 0.0995:
        return f"{1000 * size:.0f}{JOINT}ms"
    return f"{size:.2f}{JOINT}s" if size < 10 else duration(size)


def decimals(gps: float) -> int | None:
    """Return how many decimal places of a second a GPS time was given to, if they are few."""
    return next((n for n in range(4) if abs(round(gps, n) - gps) < 2e-6), None)


def probability(value: float) -> str:
    """Return a probability to two digits; one that is nearly 1 says so."""
    if value != value:
        return "–"
    if value > 0.99:
        return "> 0.99"
    return f"{value:.2g}" if value >= 1e-3 or value == 0 else f"{value:.1e}"
