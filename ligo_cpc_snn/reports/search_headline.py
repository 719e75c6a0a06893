"""The sentences and numbers at the head of a search's report."""

import numpy as np

from ligo_cpc_snn.reports.headline import Card
from ligo_cpc_snn.reports.search_files import SearchFiles
from ligo_cpc_snn.reports.words import YEAR, decimals, duration, offset, probability, rate, utc


def subtitle(files: SearchFiles) -> str:
    """Return detectors, network and dates in a line."""
    parts = [" + ".join(files.detectors), str(files.get("source", ""))]
    name = files.get("detector.name")
    parts.append(f"detector {name}" if name else "")
    spans = files.get("spans", [])
    if spans:
        start, end = min(s["start"] for s in spans), max(s["end"] for s in spans)
        first, last = utc(start, 0), utc(end, 0)
        parts.append(f"{first} to {last[11:] if last[:10] == first[:10] else last} UTC")
    return " · ".join(part for part in parts if part)


def summary(files: SearchFiles) -> str:
    """Return the result of the search in plain words."""
    if not files.get("seconds"):
        return "This search saved no record; what it did save is below."
    name = files.get("detector.name", "The detector")
    text = (
        f"{name} searched {duration(files.searched_seconds)} of "
        f"{' + '.join(files.detectors)} strain"
    )
    count = files.triggers["time"].size
    if not count:
        return f"{text} and found nothing above its threshold of {_threshold(files)}."
    return f"{text}. {_loudest(files)}{_known_events(files)}"


def _known_events(files: SearchFiles) -> str:
    """Say how many of the catalogue's events have a trigger, where that is not said yet."""
    events = files.get("events", {})
    triggered = {files.event_of(row) for row in files.loudest_first}
    count = sum(name in triggered for name in events)
    if not events or (len(events) == 1 and files.event_of(files.loudest_first[0])):
        return ""
    what = "catalogue event" + "s" * (len(events) > 1)
    return f" Of the {len(events)} {what} in that time, {count} have a trigger."


def _loudest(files: SearchFiles) -> str:
    row = files.loudest_first[0]
    event, when = files.event_of(row), f"{utc(files.triggers['time'][row])} UTC"
    if event:
        found = f"{event} is its loudest trigger, {event_time(files, row)}"
    else:
        known = ", which is no event of the catalogue" if files.get("catalogue") else ""
        found = f"Its loudest trigger is at {when}{known}"
    return f"{found}{_significance(files, row)}."


def event_time(files: SearchFiles, row: int) -> str:
    """Say how far a trigger is from its event, and how well the event's time is known."""
    away = float(files.triggers["nearest_event_offset_seconds"][row])
    places = decimals(float(files.triggers["time"][row]) - away)
    side = "after" if away > 0 else "before"
    where = f"{offset(away)} {side} the catalogue's time"
    if round(away, 3) == 0:
        where = "at the catalogue's time to the millisecond"
    if places is not None and places < 3:
        where += f" (given to {10.0**-places:g} s)"
    return where


def _significance(files: SearchFiles, row: int) -> str:
    far = float(files.triggers["far_per_year"][row])
    if not files.background_seconds or not np.isfinite(far):
        return "; without background nothing is said of how often noise is as loud"
    if files.triggers["extrapolated"][row]:
        return (
            f"; its false-alarm rate, {rate(far)}, is extrapolated beyond the "
            f"{duration(files.background_seconds)} of background"
        )
    if not files.louder_in_background(row):
        high = float(files.triggers["far_high_per_year"][row])
        limit = f" (90 % interval up to {rate(high)})" if np.isfinite(high) and high > 0 else ""
        return (
            f", louder than all {duration(files.background_seconds)} of background: its "
            f"false-alarm rate is below {rate(YEAR / files.background_seconds)}{limit}"
        )
    p = float(files.triggers["p_value"][row])
    chance = f"; noise alone has something as loud with probability {probability(p)}"
    return f", with a false-alarm rate of {rate(far)}{chance}"


def cards(files: SearchFiles) -> list[Card]:
    """Return the headline numbers that the files hold."""
    return [*_time_cards(files), *_loudest_cards(files), *_speed_cards(files)]


def _time_cards(files: SearchFiles) -> list[Card]:
    if not files.get("seconds"):
        return []
    count, expected = files.triggers["time"].size, _expected(files)
    found = [
        Card("Searched", duration(files.searched_seconds), _kept(files)),
        Card(
            f"Trigger{'s' * (count != 1)} above {_threshold(files)}",
            f"{count:,}",
            f"noise makes {expected:,.3g} on average" if expected is not None else "",
        ),
    ]
    if files.background_seconds:
        slides = int(files.background["slides"])
        detail = f"{slides} time slides; resolves {rate(YEAR / files.background_seconds)}"
        found.append(Card("Background", duration(files.background_seconds), detail))
    else:
        found.append(Card("Background", "none", "no false-alarm rates"))
    return found


def _kept(files: SearchFiles) -> str:
    away = [
        f"{duration(seconds)} {what}"
        for key, what in (("warm_up", "warm-up"), ("left_out", "left out"))
        if (seconds := float(files.get(f"seconds.{key}", 0.0)))
    ]
    return "besides " + ", ".join(away) if away else "all that was offered"


def _expected(files: SearchFiles) -> float | None:
    """Return the mean number of noise triggers above the threshold in the time searched."""
    threshold = files.get("threshold")
    if not files.background_seconds or threshold is None:
        return None
    louder = np.count_nonzero(files.background["statistic"] >= threshold)
    return float(louder * files.searched_seconds / files.background_seconds)


def _loudest_cards(files: SearchFiles) -> list[Card]:
    if not files.triggers["time"].size:
        return []
    row = files.loudest_first[0]
    statistic = f"statistic {files.triggers['statistic'][row]:.2f}"
    event = files.event_of(row)
    when = utc(files.triggers["time"][row])
    found = [Card("Loudest", event or when[11:], f"{when} UTC, {statistic}")]
    far = float(files.triggers["far_per_year"][row])
    if np.isfinite(far):
        bound = files.background_seconds and not files.louder_in_background(row)
        sign = "< " if bound and not files.triggers["extrapolated"][row] else ""
        detail = f"p-value {probability(float(files.triggers['p_value'][row]))}"
        if files.triggers["extrapolated"][row]:
            detail += ", extrapolated"
        found.append(Card("Its false-alarm rate", f"{sign}{rate(far)}", detail))
    return found


def _speed_cards(files: SearchFiles) -> list[Card]:
    speed = files.get("throughput")
    if not speed:
        return []
    detail = (
        f"{speed['strain_hours_per_minute']:.3g} h of strain per minute, in all "
        f"{duration(speed['wall_seconds'])}"
    )
    return [Card("Real time per core", f"{speed['times_real_time_per_core']:,.0f} ×", detail)]


def _threshold(files: SearchFiles) -> str:
    threshold = files.get("threshold")
    return "the threshold" if threshold is None else f"{float(threshold):.2f}"
