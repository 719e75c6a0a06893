"""What GWOSC's server knows, asked through its own client (API v2)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import requests
from igwn_segments import segment

from ligo_cpc_snn.strain.addresses import GuardedSession, check_host
from ligo_cpc_snn.strain.errors import GwoscError

SAMPLE_RATE_HZ = 4096  # of the files asked for; 16384 Hz is the other choice
PAGE = 500  # rows asked for at a time; the server may give fewer


class Run(NamedTuple):
    """An observing run: GPS s, and the detectors it has strain of."""

    start: int
    end: int
    detectors: list[str]


class Client:
    """The client with one host and a guarded session; its errors become GwoscError.

    Args:
        host: Address of the server.
    """

    def __init__(self, host: str) -> None:
        self.host = check_host(host)
        self._where: dict[str, Any] = {"host": self.host, "session": GuardedSession(host)}

    def runs(self) -> dict[str, Run]:
        """Return the observing runs by name."""
        from gwosc.api import v2

        with self._clear_errors("the list of runs"):
            return {
                run["name"]: Run(run["gps_start"], run["gps_end"], list(run["detectors"]))
                for run in v2.fetch_runs(**self._where, pagesize=PAGE)
            }

    def events(self) -> dict[str, float]:
        """Return name and GPS time in s of every event, in its newest version."""
        from gwosc.api import v2

        with self._clear_errors("the list of events"):
            found = list(v2.fetch_event_versions(**self._where, pagesize=PAGE))
            newest = sorted(found, key=lambda event: event["version"])
            return {event["name"]: float(event["gps"]) for event in newest}

    def event_gps(self, event: str) -> float:
        """Return the GPS time in s of an event."""
        from gwosc import datasets

        with self._clear_errors(f"event {event}"):
            return float(datasets.event_gps(event, **self._where))

    def event_urls(self, event: str, detector: str) -> list[str]:
        """Return the addresses of the HDF5 files released with an event."""
        from gwosc import locate

        with self._clear_errors(f"strain of {detector} around {event}"):
            return list(
                locate.get_event_urls(
                    event, detector=detector, sample_rate=SAMPLE_RATE_HZ, **self._where
                )
            )

    def run_urls(self, run: str, detector: str, span: segment) -> list[str]:
        """Return the addresses of the HDF5 files of a run that touch a span of GPS time."""
        from gwosc import locate

        with self._clear_errors(f"strain of {detector} in {span[0]} to {span[1]}"):
            return list(
                locate.get_run_urls(
                    run, detector, *span, sample_rate=SAMPLE_RATE_HZ, pagesize=PAGE, **self._where
                )
            )

    @contextmanager
    def _clear_errors(self, what: str) -> Iterator[None]:
        """Turn the client's errors into one line that says what was asked of whom."""
        import tenacity

        try:
            yield
        except requests.JSONDecodeError as error:
            raise GwoscError(
                f"{self.host} answered with something other than JSON when asked for {what}: is "
                "there a login page in between? Check the network and data.gwosc.host"
            ) from error
        except requests.HTTPError as error:
            raise GwoscError(f"{self.host} does not have {what} ({error})") from error
        except tenacity.RetryError as error:
            raise GwoscError(
                f"{self.host} did not give {what} in {error.last_attempt.attempt_number} attempts "
                f"({_reason(error.last_attempt)}): try again later"
            ) from error
        except requests.RequestException as error:
            raise GwoscError(
                f"{self.host} did not answer when asked for {what} ({error}): check the network "
                "and data.gwosc.host, give files in data.strain_dir, or set "
                "data.gwosc.offline=true to use what the cache holds"
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise GwoscError(f"{self.host} has no {what} ({error})") from error


def _reason(attempt: Any) -> str:
    """Say how the last of the client's attempts ended: with an answer, or an error."""
    error = attempt.exception()
    return str(error) if error else f"it answered {attempt.result().status_code}"
