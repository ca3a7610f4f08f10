"""Who may look, who may command, and which pages may not. Pure.

A browser carries requests of any page to this computer: what it says of itself (`Host`, `Origin`, the type of the
content) decides as much as the address that it comes from.
"""

import hmac
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

LOOKING = frozenset({"GET", "HEAD", "OPTIONS"})
JSON = "application/json"
LOOPBACK_NAME = "localhost"
BEARER = "bearer "

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessRules:
    """Who may do what.

    Attributes:
        allowed: Networks that may look besides this computer.
        names: Names of this computer, in small letters.
        token: What others must know to command; `None`: they cannot.
    """

    allowed: tuple[Network, ...] = ()
    names: frozenset[str] = frozenset()
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a request says of itself; `None` where it does not.

    Attributes:
        method: Of HTTP.
        client: Address that it comes from.
        hosts: Its `Host` headers.
        origin: Page that it was sent by.
        content_type: Of its body.
        authorization: The header of that name.
        has_body: Whether there is a body.
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


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not answered.

    Attributes:
        status: Of HTTP.
        sentence: For a person.
    """

    status: int
    sentence: str


def refusal(asked: Asked, rules: AccessRules) -> Refusal | None:
    """Return why a request is refused; `None`: it is not."""
    client = _address(asked.client)
    if client is None or not (client.is_loopback or any(client in network for network in rules.allowed)):
        return Refusal(403, "Your address may not look here: the setting web.allow names those that may.")
    if len(asked.hosts) != 1 or not _is_ours(host_name(asked.hosts[0]), rules):
        return Refusal(
            403,
            "This name is not one of this computer's: ask for it by its address, or by its own name. (It keeps pages "
            "of others from reaching it under a name of theirs.)",
        )
    if asked.method in LOOKING:
        return None
    return _of_command(asked, rules, is_local=client.is_loopback and not asked.is_forwarded)


def _of_command(asked: Asked, rules: AccessRules, *, is_local: bool) -> Refusal | None:
    if asked.origin is not None and not _is_same(asked.origin, asked.hosts[0]):
        return Refusal(403, "A page of somebody else may not give commands here.")
    if (asked.has_body or asked.origin is not None) and not _is_json(asked.content_type):
        return Refusal(415, f"A command is sent as {JSON}.")
    if is_local:
        return None
    if rules.token is None:
        return Refusal(
            403,
            "Other computers cannot give commands, because no token is set: set web.token or web.token_file in the "
            "settings of alpaca-focus.",
        )
    if not _knows(asked.authorization, rules.token):
        return Refusal(401, "Commands from another computer need the token of web.token.")
    return None


def host_name(header: str) -> str | None:
    """Return the name or address of a `Host` header, without the port, in small letters; `None`: it is none."""
    try:
        parts = urlsplit(f"//{header}")
        name, _ = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.netloc != header or parts.username is not None or not name:
        return None
    return name.rstrip(".")


def _is_ours(name: str | None, rules: AccessRules) -> bool:
    if name is None:
        return False
    if name == LOOPBACK_NAME or name in rules.names:
        return True
    # An address cannot be made to point here by somebody else's name server, as a name can.
    return _address(name) is not None


def _is_same(origin: str, host: str) -> bool:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and parts.netloc.lower() == host.lower()


def _is_json(content_type: str | None) -> bool:
    return content_type is not None and content_type.partition(";")[0].strip().lower() == JSON


def _knows(authorization: str | None, token: str) -> bool:
    if authorization is None or not authorization.lower().startswith(BEARER):
        return False
    given = authorization[len(BEARER) :].strip()
    return hmac.compare_digest(given.encode(errors="replace"), token.encode())


def _address(text: str | None) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address((text or "").partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
