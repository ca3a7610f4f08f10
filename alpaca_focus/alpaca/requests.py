"""Parses requests into typed arguments: names in any case in a GET, exact in a PUT; values strict (decision 0002)."""

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode

from starlette.requests import ClientDisconnect, Request

from alpaca_focus.alpaca.errors import BadRequest
from alpaca_focus.alpaca.replies import ApiRequest
from alpaca_focus.alpaca.standard import INTERFACES, DeviceType, HttpMethod, Member, Parameter, Scalar

MAX_FORM_BYTES = 1 << 20
_FORM = "application/x-www-form-urlencoded"
_INTEGER = re.compile(r"[+-]?[0-9]+")
_FLOAT = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_UINT32_MAX = 2**32 - 1
_CLIENT_NAMES = ("ClientID", "ClientTransactionID")


async def read_api_request(request: Request, *, server_transaction_id: int, any_case: bool = False) -> ApiRequest:
    """Return a request to `/api/v1/{device_type}/{device_number}/{member}` with its parameters.

    With `any_case` the parameter names of a PUT are corrected first, also in `sent_form`.

    Raises:
        BadRequest: The path, the form or a number is malformed.
    """
    query = parse_pairs(request.url.query)
    form = b"" if request.method == "GET" else await _read_form(request)
    try:
        parameters = query if request.method == "GET" else parse_pairs(form.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise BadRequest("The body of the request is not UTF-8.") from error
    if any_case and form:
        parameters = _in_right_case(parameters, request.path_params["device_type"], request.path_params["member"])
        form = urlencode(parameters).encode()
    # A PUT's number under another spelling does not count: the reply then has the number 0, as ConformU expects.
    find = find_parameter if request.method == "GET" else Mapping.get
    return ApiRequest(
        method=request.method,
        device_type=request.path_params["device_type"],
        device_number=whole_number("device number", request.path_params["device_number"]),
        member=request.path_params["member"],
        parameters=parameters,
        query=query,
        accept=request.headers.get("accept", ""),
        client_id=_client_number("ClientID", find(parameters, "ClientID")),
        client_transaction_id=_client_number("ClientTransactionID", find(parameters, "ClientTransactionID")),
        server_transaction_id=server_transaction_id,
        sent_query=request.scope["query_string"],
        sent_form=form,
    )


async def _read_form(request: Request) -> bytes:
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > MAX_FORM_BYTES:
                raise BadRequest(f"The body of the request is longer than {MAX_FORM_BYTES} bytes.")
    except ClientDisconnect as error:
        raise BadRequest("The client went away before its request was complete.") from error
    content_type = request.headers.get("content-type", _FORM).partition(";")[0].strip().lower()
    if body and content_type != _FORM:
        raise BadRequest(f"The parameters of a PUT belong into a body of type {_FORM}, not {content_type!r}.")
    return bytes(body)


def parse_pairs(text: str) -> Mapping[str, str]:
    """Return the names and values of a query or a form; of a name sent twice the last value.

    Raises:
        BadRequest: The text is not UTF-8, or has too many parameters.
    """
    try:
        return dict(parse_qsl(text, keep_blank_values=True, errors="strict"))
    except ValueError as error:
        raise BadRequest("The parameters of the request cannot be read: they are not UTF-8 or too many.") from error


def find_parameter(parameters: Mapping[str, str], name: str) -> str | None:
    """Return the value of a parameter with exactly this name, or else with this name in another casing."""
    if name in parameters:
        return parameters[name]
    wanted = name.lower()
    return next((value for sent, value in parameters.items() if sent.lower() == wanted), None)


def _in_right_case(parameters: Mapping[str, str], device_type: str, member: str) -> dict[str, str]:
    """Return parameters of a PUT under the standard's names where these differ in case only; an exact name wins."""
    interface = INTERFACES.get(DeviceType(device_type)) if device_type in set(DeviceType) else None
    known = None if interface is None else interface.members.get(("PUT", member))
    names = [*_CLIENT_NAMES, *(parameter.name for parameter in (() if known is None else known.parameters))]
    right = {name.lower(): name for name in names}
    corrected = {right.get(name.lower(), name): value for name, value in parameters.items()}
    return corrected | {name: value for name, value in parameters.items() if name in names}


def client_number(parameters: Mapping[str, str], name: str) -> int:
    """Return ClientID or ClientTransactionID of a GET as `whole_number` does, 0 if it is absent."""
    return _client_number(name, find_parameter(parameters, name))


def _client_number(name: str, text: str | None) -> int:
    return 0 if text is None else whole_number(name, text)


def whole_number(name: str, text: str) -> int:
    """Return the number of a device, a client or a transaction; raise `BadRequest` if it is not a UInt32."""
    if not _INTEGER.fullmatch(text) or not 0 <= int(text) <= _UINT32_MAX:
        raise BadRequest(f"The {name} must be a whole number from 0 to {_UINT32_MAX}, not {text!r}.")
    return int(text)


def typed_arguments(member: Member, parameters: Mapping[str, str]) -> list[Scalar]:
    """Return the values of a member's parameters in the standard's order; raise `BadRequest` if one is not valid."""
    return [_typed(member, parameter, _sent(member, parameter, parameters)) for parameter in member.parameters]


def _sent(member: Member, parameter: Parameter, parameters: Mapping[str, str]) -> str | None:
    name = parameter.name
    sent = find_parameter(parameters, name)
    if member.method is HttpMethod.PUT and sent is not None and name not in parameters:
        other = next(each for each in parameters if each.lower() == name.lower())
        raise BadRequest(f"The parameter {other!r} of PUT {member.name} has to be spelled {name!r}.")
    return sent


def _typed(member: Member, parameter: Parameter, sent: str | None) -> Scalar:
    text = parameter.default if sent is None else sent
    if text is None:
        raise BadRequest(f"The parameter {parameter.name} of {member.method} {member.name} is missing.")
    if parameter.type is str:
        return text
    if parameter.type is bool and text.lower() in {"true", "false"}:
        return text.lower() == "true"
    if parameter.type is int and _INTEGER.fullmatch(text) and -(2**31) <= int(text) < 2**31:
        return int(text)
    if parameter.type is float and _FLOAT.fullmatch(text):
        return float(text)
    expected = {bool: "True or False", int: "a whole number of 32 bits", float: "a number with a decimal point"}
    raise BadRequest(
        f"The parameter {parameter.name} of {member.method} {member.name} must be {expected[parameter.type]},"
        f" not {text!r}."
    )
