"""Parses HTTP requests into typed arguments: names in any casing, values checked strictly (decision 0002)."""

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request

from alpaca_focus.alpaca.errors import BadRequest
from alpaca_focus.alpaca.replies import ApiRequest
from alpaca_focus.alpaca.standard import Member, Parameter, Scalar

MAX_FORM_BYTES = 1 << 20
_FORM = "application/x-www-form-urlencoded"
_INTEGER = re.compile(r"[+-]?[0-9]+")
_FLOAT = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_UINT32_MAX = 2**32 - 1


async def read_api_request(request: Request, *, server_transaction_id: int) -> ApiRequest:
    """Return a request to `/api/v1/{device_type}/{device_number}/{member}` with its parameters.

    Raises:
        BadRequest: The path, the form or a number is malformed.
    """
    query = parse_pairs(request.url.query)
    form = b"" if request.method == "GET" else await _read_form(request)
    try:
        parameters = query if request.method == "GET" else parse_pairs(form.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise BadRequest("The body of the request is not UTF-8.") from error
    return ApiRequest(
        method=request.method,
        device_type=request.path_params["device_type"],
        device_number=whole_number("device number", request.path_params["device_number"]),
        member=request.path_params["member"],
        parameters=parameters,
        query=query,
        accept=request.headers.get("accept", ""),
        client_id=client_number(parameters, "ClientID"),
        client_transaction_id=client_number(parameters, "ClientTransactionID"),
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


def client_number(parameters: Mapping[str, str], name: str) -> int:
    """Return ClientID or ClientTransactionID as `whole_number` does, 0 if it is absent."""
    text = find_parameter(parameters, name)
    return 0 if text is None else whole_number(name, text)


def whole_number(name: str, text: str) -> int:
    """Return the number of a device, a client or a transaction; raise `BadRequest` if it is not a UInt32."""
    if not _INTEGER.fullmatch(text) or not 0 <= int(text) <= _UINT32_MAX:
        raise BadRequest(f"The {name} must be a whole number from 0 to {_UINT32_MAX}, not {text!r}.")
    return int(text)


def typed_arguments(member: Member, parameters: Mapping[str, str]) -> list[Scalar]:
    """Return the values of a member's parameters in the standard's order; raise `BadRequest` if one is not valid."""
    return [_typed(member, parameter, find_parameter(parameters, parameter.name)) for parameter in member.parameters]


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
