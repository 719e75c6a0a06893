"""What is asked of a file server and what its answers say (RFC 9110)."""

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import requests

from ligo_cpc_snn.strain.errors import GwoscError

LONGEST_WAIT_SECONDS = 60.0
LONGEST_RETRY_AFTER = 600.0  # s; a server that asks for more ends the attempt


@dataclass(frozen=True)
class Version:
    """What tells that two answers are parts of one file."""

    url: str
    etag: str | None
    modified: str | None
    length: int | None

    def check(self) -> None:
        """Raise ValueError where a note gave another type than an answer has."""
        texts = [text for text in (self.url, self.etag, self.modified) if text is not None]
        if not all(isinstance(text, str) and text.isprintable() for text in texts):
            raise ValueError("its texts are no headers of HTTP")
        if self.length is not None and (type(self.length) is not int or self.length < 0):
            raise ValueError(f"length={self.length!r}: expected bytes")

    @property
    def validator(self) -> str | None:
        """For If-Range, which takes no weak ETag (RFC 9110, 13.1.5)."""
        weak = self.etag is None or self.etag.startswith("W/")
        return self.modified if weak else self.etag


def asked_headers(known: Version | None, have: int) -> dict[str, str]:
    """Ask for the file as it is, and only for what is missing unless it has changed."""
    asked = {"Accept-Encoding": "identity"}
    if known is not None and have:
        asked["Range"] = f"bytes={have}-"
        if known.validator is not None:
            asked["If-Range"] = known.validator
    return asked


def back_off(failures: int, first: float) -> float:
    """Return a wait in s: doubling, and spread so that many do not come back at once."""
    longest = min(first * 2.0 ** (failures - 1), LONGEST_WAIT_SECONDS)
    return longest * random.uniform(0.5, 1.0)


def retry_after(answer: requests.Response) -> float:
    """Return how long the server asks us to wait, in s: a number, or a date (RFC 9110)."""
    value = answer.headers.get("Retry-After", "")
    if value.isdecimal():
        seconds = float(value)
    else:
        try:
            seconds = (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):  # absent, or neither
            return 0.0
    if seconds > LONGEST_RETRY_AFTER:
        raise GwoscError(
            f"{answer.url}: {status(answer)} and asks to come back in {seconds:.0f} s: try later"
        )
    return max(seconds, 0.0)


def status(answer: requests.Response) -> str:
    """Say which status an answer has."""
    return f"the server answered {answer.status_code} {answer.reason}".rstrip()


def advice(answer: requests.Response) -> str:
    """Return what to do about a status that will not pass."""
    if answer.status_code in (404, 410):
        return ", though it lists the file: try later, or leave its time out"
    return ""


def description(answer: requests.Response, start: bytes) -> str:
    """Say what an answer is that is no HDF5 file."""
    kind = answer.headers.get("Content-Type", "of no stated type")
    words = " ".join(start[:200].decode("ascii", "replace").split())[:40]
    return f"not HDF5 but {kind}: {words!r}"
