"""Access rules: who may read, who may command, and from which web pages. Pure.

Any web page can make its visitor's browser send requests to this computer. So the headers that a browser sets (`Host`,
`Origin`, the content type) are checked as well as the address of the client.
"""

import hmac
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import NamedTuple
from urllib.parse import urlsplit

READ_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
JSON = "application/json"

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessRules:
    """Who may do what.

    Attributes:
        allowed: Networks that may read, besides this computer.
        names: Names of this computer, in lower case.
        token: Required for commands from other computers; `None`: they cannot command.
    """

    allowed: tuple[Network, ...] = ()
    names: frozenset[str] = frozenset()
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFacts:
    """The facts of a request that the rules judge; a header that is missing is `None`.

    Attributes:
        client: Address of the client.
        hosts: All `Host` headers.
        is_forwarded: Whether a proxy has passed it on.
    """

    method: str
    client: str | None
    hosts: tuple[str, ...] = ()
    origin: str | None = None
    content_type: str | None = None
    authorization: str | None = field(default=None, repr=False)
    has_body: bool = False
    is_forwarded: bool = False


class Refusal(NamedTuple):
    """The HTTP status and the sentence with which a request is refused."""

    status: int
    sentence: str


def refusal(request: RequestFacts, rules: AccessRules) -> Refusal | None:
    """Return why a request is refused; `None` if it is permitted."""
    client = _address(request.client)
    if client is None or not (client.is_loopback or any(client in network for network in rules.allowed)):
        return Refusal(403, "Access from this address is not allowed. Add its network to the setting web.allow.")
    if len(request.hosts) != 1 or not _is_this_computer(host_name(request.hosts[0]), rules):
        return Refusal(
            403,
            "This host name does not belong to this computer, so the request may come from another web page. Use the "
            "computer's IP address or its own name.",
        )
    if request.method in READ_METHODS:
        return None
    return _refusal_of_command(request, rules, is_local=client.is_loopback and not request.is_forwarded)


def _refusal_of_command(request: RequestFacts, rules: AccessRules, *, is_local: bool) -> Refusal | None:
    if request.origin is not None and not _is_same_origin(request.origin, request.hosts[0]):
        return Refusal(403, "Commands from web pages of other servers are not allowed.")
    content_type = (request.content_type or "").partition(";")[0].strip().lower()
    # A form of another page can send other content types without the browser's permission check, JSON it cannot.
    if (request.has_body or request.origin is not None) and content_type != JSON:
        return Refusal(415, f"A command needs the content type {JSON}.")
    if is_local:
        return None
    if rules.token is None:
        return Refusal(
            403,
            "Other computers cannot give commands, because no token is set. Set web.token or web.token_file in the "
            "settings of alpaca-focus.",
        )
    if not _has_token(request.authorization or "", rules.token):
        return Refusal(401, "Commands from another computer need the token of web.token.")
    return None


def host_name(header: str) -> str | None:
    """Return the name or address in a `Host` header, without the port, in lower case; `None` if it is malformed."""
    try:
        parts = urlsplit(f"//{header}")
        name, _ = parts.hostname, parts.port
    except ValueError:
        return None
    is_plain = parts.netloc == header and parts.username is None
    return name.rstrip(".") if is_plain and name else None


def _is_this_computer(name: str | None, rules: AccessRules) -> bool:
    # Any name server can make its own names point here (DNS rebinding); an address cannot be forged in that way.
    return name is not None and (name == "localhost" or name in rules.names or _address(name) is not None)


def _is_same_origin(origin: str, host: str) -> bool:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and parts.netloc.lower() == host.lower()


def _has_token(authorization: str, token: str) -> bool:
    scheme, _, given = authorization.partition(" ")
    # The comparison takes the same time for every wrong token, so that its duration does not reveal the right one.
    is_right = hmac.compare_digest(given.strip().encode(errors="replace"), token.encode())
    return is_right and scheme.lower() == "bearer"


def _address(text: str | None) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address((text or "").partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
