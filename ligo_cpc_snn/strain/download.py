"""Download one file: continued where it broke, tried again with growing waits."""

import json
import logging
import re
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import requests
from urllib3.exceptions import ReadTimeoutError

from ligo_cpc_snn.reading.text import parse_json
from ligo_cpc_snn.strain.addresses import GuardedSession
from ligo_cpc_snn.strain.answers import (
    Version,
    advice,
    asked_headers,
    back_off,
    description,
    retry_after,
    status,
)
from ligo_cpc_snn.strain.errors import GwoscError
from ligo_cpc_snn.strain.replacing import write_whole

log = logging.getLogger(__name__)

CONNECT_SECONDS = 10.0
STALL_SECONDS = 30.0  # without any data
FIRST_WAIT_SECONDS = 1.0  # doubles with each failure
CHUNK_BYTES = 1 << 14  # what a broken connection may lose
PROGRESS_BYTES = 1 << 20  # new bytes after which a broken connection is no failure
CONTENT_ATTEMPTS = 2  # a whole file of wrong content
BUSY = (408, 425, 429, 500, 502, 503, 504)  # worth another attempt
SIGNATURE = b"\x89HDF\r\n\x1a\n"


class Stopped(Exception):  # noqa: N818 (no error: the user or a failed neighbour ended it)
    """The download was told to stop; what has arrived is kept."""


class BrokenFileError(Exception):
    """What arrived is not what was asked for; the message says what it is."""


class _FailureError(Exception):
    """An attempt failed in a way that may pass; `wait` is what the server asked for, in s."""

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


class Download:
    """A file on its way from `url` to `part`.

    Args:
        url: Address.
        part: Where bytes are gathered; what an earlier process left there is continued. Beside
            it lies `part`.json, which tells of which version of the file the bytes are.
        session: Guards the addresses.
        take: Uses the whole file; raises BrokenFileError if it is not what was asked for.
        progress: Told the new bytes, and how many are expected of this file (None: not known).
        stop: Ends the download when set.
    """

    def __init__(
        self,
        url: str,
        part: Path,
        session: GuardedSession,
        *,
        take: Callable[[Path], None],
        progress: Callable[[int, int | None], None],
        stop: threading.Event,
    ) -> None:
        self.url, self.part, self.session = url, part, session
        self.take, self.progress, self.stop = take, progress, stop
        self._note = part.with_suffix(".json")

    def run(self, retries: int) -> None:
        """Download and use it, with at most `retries` further attempts without progress.

        Raises:
            GwoscError: It cannot be had; the message names the address and the last reason.
            Stopped: `stop` was set.
        """
        failures, broken, furthest = 0, 0, self._size()
        while True:
            try:
                self._attempt()
                self.take(self.part)
                return
            except BrokenFileError as error:
                broken += 1
                self.discard()
                if broken >= CONTENT_ATTEMPTS:
                    raise GwoscError(
                        f"{self.url}: what the server sent is {error} ({broken} attempts); "
                        "nothing of it was kept"
                    ) from error
                self._wait(FIRST_WAIT_SECONDS, f"sent what is {error}")
            except _FailureError as error:
                if self._size() >= furthest + PROGRESS_BYTES:
                    failures = 0
                furthest = max(furthest, self._size())
                failures += 1
                if failures > retries:
                    raise GwoscError(self._last_words(str(error), failures)) from error
                self._wait(max(error.wait, back_off(failures, FIRST_WAIT_SECONDS)), str(error))

    def discard(self) -> None:
        """Delete what has arrived."""
        self.part.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def _last_words(self, reason: str, attempts: int) -> str:
        kept = self._size()
        rest = (
            f"{kept / 1e6:.2f} MB are kept and continued by the next try"
            if kept
            else "try again later"
        )
        return f"{self.url}: {reason}, given up after {attempts} attempts; {rest}"

    def _wait(self, seconds: float, reason: str) -> None:
        log.warning("%s: %s; tried again in %.1f s", self.url, reason, seconds)
        if self.stop.wait(seconds):
            raise Stopped

    def _attempt(self) -> None:
        """Ask for what is missing and append it."""
        known, have = self._noted(), self._size()
        if known is None:
            have = 0
        elif have and have == known.length:
            return
        elif known.length is None:  # nothing would tell whether a continuation fits
            have = 0
        try:
            with self.session.get(
                self.url,
                headers=asked_headers(known, have),
                stream=True,
                timeout=(CONNECT_SECONDS, STALL_SECONDS),
            ) as answer:
                version, start = self._accepted(answer, known, have)
                self._receive(answer, version, start)
        except requests.RequestException as error:
            raise self._explained(error) from error

    def _accepted(
        self, answer: requests.Response, known: Version | None, have: int
    ) -> tuple[Version, int]:
        """Return the version answered and its first byte; refuse all other answers."""
        if answer.status_code == 206 and known is not None:
            places = re.fullmatch(
                r"bytes ([0-9]+)-[0-9]+/([0-9]+)", answer.headers.get("Content-Range", "")
            )
            same = answer.headers.get("ETag", known.etag) == known.etag
            if same and places and int(places[1]) == have and int(places[2]) == known.length:
                return known, have
            self.discard()
            raise _FailureError("the server continued with other bytes than asked for, begun anew")
        if answer.status_code == 416:
            self.discard()
            raise _FailureError("the file has another length than before, begun anew")
        if answer.status_code in BUSY:
            raise _FailureError(status(answer), retry_after(answer))
        if answer.status_code != 200:
            raise GwoscError(f"{self.url}: {status(answer)}{advice(answer)}")
        length = answer.headers.get("Content-Length", "")
        headers = answer.headers.get("ETag"), answer.headers.get("Last-Modified")
        return Version(self.url, *headers, int(length) if length.isdecimal() else None), 0

    def _receive(self, answer: requests.Response, version: Version, start: int) -> None:
        self.progress(0, None if version.length is None else version.length - start)
        with self.part.open("ab" if start else "wb") as file:
            if not start:
                write_whole(self._note, json.dumps(asdict(version)).encode())
            for chunk in answer.iter_content(CHUNK_BYTES):
                if file.tell() == 0 and not chunk.startswith(SIGNATURE):
                    raise BrokenFileError(description(answer, chunk))
                file.write(chunk)
                self.progress(len(chunk), None)
                if self.stop.is_set():
                    raise Stopped

    def _explained(self, error: requests.RequestException) -> Exception:
        """Say in a few words what a library's error means."""
        if isinstance(error, requests.exceptions.SSLError):
            return GwoscError(f"{self.url}: no secure connection ({error})")
        if isinstance(error, requests.ConnectTimeout):
            return _FailureError(f"no connection within {CONNECT_SECONDS:g} s")
        stalled = error.args and isinstance(error.args[0], ReadTimeoutError)
        if isinstance(error, requests.Timeout) or stalled:
            return _FailureError(f"no data for {STALL_SECONDS:g} s")
        if isinstance(error, requests.TooManyRedirects):
            return GwoscError(f"{self.url}: sent on more than {self.session.max_redirects} times")
        if isinstance(error, requests.exceptions.ChunkedEncodingError):
            return _FailureError(f"the connection broke after {self._size() / 1e6:.2f} MB")
        return _FailureError(f"no connection ({error})")

    def _size(self) -> int:
        return self.part.stat().st_size if self.part.is_file() else 0

    def _noted(self) -> Version | None:
        """Return of which version the bytes at hand are, if that is known."""
        try:
            version = Version(**parse_json(self._note.read_bytes()))
            version.check()
        except FileNotFoundError:
            return None
        except (ValueError, TypeError):
            log.warning("%s: not readable, the download is begun anew", self._note)
            return None
        return version if version.url == self.url else None
