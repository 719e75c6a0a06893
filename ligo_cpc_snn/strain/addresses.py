"""Which addresses are asked: HTTPS, or this machine where the user named it."""

import ipaddress
from typing import Any
from urllib.parse import urlsplit

import requests

from ligo_cpc_snn.strain.errors import GwoscError

MOST_REDIRECTS = 5


def is_loopback(url: str) -> bool:
    """Return whether an address is of this machine by its own words: no name is looked up."""
    name = urlsplit(url).hostname or ""
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def check_host(host: str) -> str:
    """Return a host's address without a final slash.

    Raises:
        GwoscError: It is neither https nor http of this machine.
    """
    parts = urlsplit(host)
    if parts.hostname and (
        parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))
    ):
        return host.rstrip("/")
    raise GwoscError(
        f"data.gwosc.host={host}: expected an https:// address (http:// only of this machine, "
        "as http://127.0.0.1:8000)"
    )


class GuardedSession(requests.Session):
    """A session that asks nothing over plain HTTP, whoever hands out the address.

    Each request passes here, redirects and further pages too. GWOSC writes http:// into some
    of its own addresses: those are asked over HTTPS.

    Args:
        host: The server that the user chose. Where it is on this machine, plain HTTP to this
            machine is allowed.
    """

    def __init__(self, host: str) -> None:
        super().__init__()
        self.host = urlsplit(check_host(host))
        self.local = is_loopback(host)
        self.max_redirects = MOST_REDIRECTS

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send a request if its address is allowed.

        Raises:
            GwoscError: It is not.
        """
        request.url = self._allowed(request.url or "")
        return super().send(request, **kwargs)

    def _allowed(self, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme == "https" or (self.local and is_loopback(url)):
            return url
        if parts.scheme == "http" and parts.netloc == self.host.netloc:
            return parts._replace(scheme="https").geturl()
        raise GwoscError(
            f"{self.host.geturl()} sent us to {url}, which is not https: not asked; if this "
            "lasts, check data.gwosc.host"
        )
