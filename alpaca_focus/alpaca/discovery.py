"""Alpaca discovery: a UDP broadcast, answered by each server with its port.

Source: ASCOM Alpaca API Reference, chapter on discovery: IPv4 broadcast and IPv6 multicast to ff12::a1:9aca, UDP port
32227, request `alpacadiscovery1`, answer `{"AlpacaPort": n}` to the sender.
"""

import asyncio
import contextlib
import fcntl
import ipaddress
import json
import selectors
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeAlias, cast

import structlog
from typing_extensions import override

log = structlog.get_logger(__name__)

DISCOVERY_PORT = 32227
MULTICAST_GROUP = "ff12::a1:9aca"
REQUEST = b"alpacadiscovery1"
_REQUEST_ANY_VERSION = b"alpacadiscovery"
_ANSWER_BYTES = 1024
_TIMES_SENT = 2
_LOOPBACK_BROADCAST = "127.255.255.255"
_WILDCARDS = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared only
_SIOCGIFADDR, _SIOCGIFBRDADDR = 0x8915, 0x8919

SocketAddress: TypeAlias = tuple[Any, ...]


@dataclass(frozen=True, slots=True, order=True)
class DiscoveredServer:
    """Host (IPv6 with a zone if link-local) and port of an Alpaca server."""

    host: str
    port: int

    @property
    def base_url(self) -> str:
        """The URL before `/api/v1`."""
        return f"http://[{self.host}]:{self.port}" if ":" in self.host else f"http://{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class _Interface:
    name: str
    address: str | None
    broadcast: str | None


class DiscoveryResponder:
    """Answers discovery while its context is open, over the IP versions that the server listens on.

    Several servers on one machine share the port: all get a broadcast, and one of them, at random, what is sent to an
    address of the machine. With `claims_addresses` that is this server, at the addresses it listens on. A server on
    loopback answers this machine only. If the port cannot be used, that is logged and the server works without
    discovery.
    """

    def __init__(
        self, host: str, alpaca_port: int, *, port: int = DISCOVERY_PORT, claims_addresses: bool = False
    ) -> None:
        self._host = host
        self._claims_addresses = claims_addresses
        self._answer = json.dumps({"AlpacaPort": alpaca_port}).encode()
        self._local_only = _is_loopback(host)
        self._families = _families(host)
        self._port = port
        self._transports: list[asyncio.DatagramTransport] = []

    async def __aenter__(self) -> Self:
        for family in self._families:
            # A socket bound to an address is preferred by the kernel for what is sent there. Its answers come from that
            # address: the client connects to where an answer came from.
            claimed = [await self._opened(family, address) for address in self._claimed(family)]
            is_at_one_address = self._claims_addresses and self._host not in _WILDCARDS
            await self._opened(family, "", answers_by=claimed[0] if is_at_one_address else None)
        return self

    def _claimed(self, family: socket.AddressFamily) -> list[str]:
        if not self._claims_addresses:
            return []
        if self._host not in _WILDCARDS:
            return [self._host]
        if family == socket.AF_INET6:
            return ["::1"]
        return sorted({interface.address for interface in _interfaces() if interface.address})

    async def _opened(
        self, family: socket.AddressFamily, address: str, answers_by: asyncio.DatagramTransport | None = None
    ) -> asyncio.DatagramTransport | None:
        try:
            bound = _responder_socket(family, address, self._port)
        except OSError as error:
            log.warning("discovery_unavailable", port=self._port, family=family.name, reason=str(error))
            return None
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _Answering(self._answer, local_only=self._local_only, answers_by=answers_by), sock=bound
        )
        self._transports.append(transport)
        return transport

    async def __aexit__(self, *_: object) -> None:
        for transport in self._transports:
            transport.abort()
        await asyncio.sleep(0)  # the transports close their sockets in the loop's next iteration


class _Answering(asyncio.DatagramProtocol):
    def __init__(self, answer: bytes, *, local_only: bool, answers_by: asyncio.DatagramTransport | None = None) -> None:
        self._answer = answer
        self._local_only = local_only
        self._transport = answers_by

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # asyncio's transport for datagrams is no subclass of DatagramTransport in every version.
        self._transport = self._transport or cast("asyncio.DatagramTransport", transport)

    @override
    def datagram_received(self, data: bytes, addr: SocketAddress) -> None:
        if not data.startswith(_REQUEST_ANY_VERSION) or (self._local_only and not _is_loopback(addr[0])):
            return
        if self._transport is not None:
            self._transport.sendto(self._answer, addr)

    @override
    def error_received(self, exc: Exception) -> None:
        log.debug("discovery_answer_not_sent", reason=str(exc))


def _is_loopback(host: str) -> bool:
    return ipaddress.ip_address(host.partition("%")[0]).is_loopback


def _families(host: str) -> tuple[socket.AddressFamily, ...]:
    """Return the IP versions over which a server that listens on `host` can be reached."""
    if host == "::" and socket.has_dualstack_ipv6():
        return (socket.AF_INET, socket.AF_INET6)
    return (socket.AF_INET6,) if ":" in host else (socket.AF_INET,)


def _responder_socket(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
    """Return a socket bound to the discovery port, shared with other servers; without an address, on all interfaces."""
    with contextlib.ExitStack() as on_error:
        bound = on_error.enter_context(socket.socket(family, socket.SOCK_DGRAM))
        bound.settimeout(0)
        # Both, because sharing needs the options that the other server has set.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            if not address:
                _join_everywhere(bound)
        bound.bind(socket.getaddrinfo(address, port, family, socket.SOCK_DGRAM)[0][4] if address else ("", port))
        on_error.pop_all()
        return bound


def _join_everywhere(bound: socket.socket) -> None:
    group = socket.inet_pton(socket.AF_INET6, MULTICAST_GROUP)
    for index, name in socket.if_nameindex():
        try:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group + struct.pack("@I", index))
        except OSError as error:
            log.debug("discovery_interface_skipped", interface=name, reason=str(error))


def discover(
    timeout_s: float, *, port: int = DISCOVERY_PORT, addresses: Sequence[str] | None = None
) -> tuple[DiscoveredServer, ...]:
    """Return the Alpaca servers that answer within `timeout_s`, sorted; none without a network.

    A server that is reached over both IPv4 and IPv6 appears with both addresses, this machine's own only with loopback.
    The request goes to `addresses`, by default to every network of this machine.
    """
    interfaces = tuple(_interfaces())
    targets = _everywhere(interfaces) if addresses is None else addresses
    own = {interface.address for interface in interfaces}
    answers = set(_collect(targets, port, timeout_s))
    # This machine's servers answer the broadcast on loopback and on each network: only the loopback address stays.
    here = {server.port for server in answers if _is_loopback(server.host)}
    twice = {s for s in answers if s.host in own and s.port in here and not _is_loopback(s.host)}
    return tuple(sorted(answers - twice))


def _collect(targets: Sequence[str], port: int, timeout_s: float) -> Iterator[DiscoveredServer]:
    deadline = time.monotonic() + timeout_s
    with contextlib.ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        sockets = {}
        for family in (socket.AF_INET, socket.AF_INET6):
            try:
                sender = stack.enter_context(socket.socket(family, socket.SOCK_DGRAM))
            except OSError as error:
                log.debug("discovery_family_unavailable", family=family.name, reason=str(error))
                continue
            sender.settimeout(0)
            if family == socket.AF_INET:
                sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            sockets[family] = sender
            selector.register(sender, selectors.EVENT_READ)
        for rounds_left in range(_TIMES_SENT, 0, -1):
            # Sent again half-way, as a datagram may get lost.
            until = deadline - timeout_s * (rounds_left - 1) / _TIMES_SENT
            _send_requests(sockets, targets, port)
            while (left_s := until - time.monotonic()) > 0:
                for key, _ in selector.select(left_s):
                    if isinstance(key.fileobj, socket.socket):
                        yield from _read_answer(key.fileobj)


def _send_requests(sockets: dict[socket.AddressFamily, socket.socket], targets: Sequence[str], port: int) -> None:
    for target in targets:
        try:
            family, _, _, _, address = socket.getaddrinfo(target, port, type=socket.SOCK_DGRAM)[0]
            if family in sockets:
                sockets[family].sendto(REQUEST, address)
        except OSError as error:
            log.debug("discovery_request_not_sent", to=target, reason=str(error))


def _read_answer(sender: socket.socket) -> Iterator[DiscoveredServer]:
    """Yield the server that a datagram announces, if any."""
    try:
        data, address = sender.recvfrom(_ANSWER_BYTES)
        answer = json.loads(data)
    except (OSError, ValueError, RecursionError) as error:
        log.debug("discovery_answer_ignored", reason=str(error))
        return
    port = answer.get("AlpacaPort") if isinstance(answer, dict) else None
    if type(port) is int and 0 < port < 65536:
        host, scope = str(address[0]), address[3] if len(address) > 3 else 0
        zone = f"%{socket.if_indextoname(scope)}" if scope and "%" not in host else ""
        yield DiscoveredServer(host + zone, port)


def _everywhere(interfaces: Sequence[_Interface]) -> list[str]:
    """Return the IPv4 broadcast address of every network, and the IPv6 group on every interface."""
    broadcasts = [interface.broadcast for interface in interfaces if interface.broadcast]
    groups = [f"{MULTICAST_GROUP}%{interface.name}" for interface in interfaces]
    return list(dict.fromkeys([_LOOPBACK_BROADCAST, *broadcasts, *groups]))


def _interfaces() -> Iterator[_Interface]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        for _, name in socket.if_nameindex():
            address = _interface_address(any_socket, name, _SIOCGIFADDR)
            broadcast = _interface_address(any_socket, name, _SIOCGIFBRDADDR)
            yield _Interface(name, address, broadcast if broadcast != "0.0.0.0" else None)  # noqa: S104 - compared only


def _interface_address(any_socket: socket.socket, name: str, request: int) -> str | None:
    """Return an IPv4 address of an interface from the Linux kernel (netdevice(7)), `None` if it has none."""
    try:
        reply = fcntl.ioctl(any_socket.fileno(), request, struct.pack("256s", name.encode()[:15]))
    except OSError:
        return None
    return socket.inet_ntoa(reply[20:24])
