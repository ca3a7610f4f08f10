from dataclasses import replace
from ipaddress import ip_network

import pytest

from alpaca_focus.web.security import AccessRules, RequestFacts, host_name, refusal

TOKEN = "a token that nobody guesses"  # noqa: S105 - made up
RULES = AccessRules(
    allowed=(ip_network("192.168.1.0/24"), ip_network("fd00::/64")),
    names=frozenset({"observatory", "observatory.local"}),
    token=TOKEN,
)
READ = RequestFacts(method="GET", client="127.0.0.1", hosts=("127.0.0.1:11180",))
COMMAND = replace(READ, method="POST", content_type="application/json", has_body=True)
ELSEWHERE = replace(COMMAND, client="192.168.1.7", hosts=("192.168.1.5:11180",))


def status(request: RequestFacts, rules: AccessRules = RULES) -> int:
    refused = refusal(request, rules)
    if refused is None:
        return 200
    assert refused.sentence.endswith((".", ")"))
    assert TOKEN not in refused.sentence
    return refused.status


@pytest.mark.parametrize(
    ("client", "expected"),
    [
        ("127.0.0.1", 200),
        ("127.8.9.1", 200),
        ("::1", 200),
        ("::ffff:127.0.0.1", 200),
        ("192.168.1.7", 200),
        ("::ffff:192.168.1.7", 200),
        ("fd00::1", 200),
        ("fe80::1%eth0", 403),
        ("192.168.2.7", 403),
        ("8.8.8.8", 403),
        ("nonsense", 403),
        (None, 403),
    ],
)
def test_who_may_read(client: str | None, expected: int) -> None:
    assert status(replace(READ, client=client)) == expected


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", 200),
        ("LOCALHOST:11180", 200),
        ("localhost.", 200),
        ("127.0.0.1:80", 200),
        ("[::1]:11180", 200),
        ("observatory:11180", 200),
        ("Observatory.local", 200),
        ("192.168.1.5", 200),
        ("192.168.1.6", 200),
        ("192.168.1.6.attacker.example", 403),
        ("[fd00::9]:11180", 200),
        ("attacker.example", 403),
        ("localhost.attacker.example", 403),
        ("observatory.attacker.example:11180", 403),
        ("user@localhost", 403),
        ("localhost/x", 403),
        ("localhost:port", 403),
        ("localhost:99999", 403),
        ("[::1", 403),
        ("", 403),
    ],
)
def test_the_host_name_must_be_this_computers(host: str, expected: int) -> None:
    assert status(replace(READ, hosts=(host,))) == expected


def test_no_host_header_and_two_of_them_are_refused() -> None:
    assert status(replace(READ, hosts=())) == 403
    assert status(replace(READ, hosts=("localhost", "localhost"))) == 403


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "FROB"])
@pytest.mark.parametrize(
    ("authorization", "expected"),
    [
        (None, 401),
        ("", 401),
        (TOKEN, 401),
        ("Bearer", 401),
        ("Bearer ", 401),
        (f"Bearer {TOKEN}x", 401),
        (f"Bearer {TOKEN[:-1]}", 401),
        (f"Basic {TOKEN}", 401),
        ("Bearer ü\udcff", 401),
        (f"Bearer {TOKEN}", 200),
        (f"bearer  {TOKEN} ", 200),
    ],
)
def test_commands_from_other_computers_need_the_token(method: str, authorization: str | None, expected: int) -> None:
    assert status(replace(ELSEWHERE, method=method, authorization=authorization)) == expected


def test_without_a_token_other_computers_cannot_command() -> None:
    none = replace(RULES, token=None)
    assert status(replace(ELSEWHERE, authorization="Bearer "), none) == 403
    assert status(replace(ELSEWHERE, authorization="Bearer None"), none) == 403
    assert status(replace(ELSEWHERE, method="GET"), none) == 200
    assert status(COMMAND, none) == 200


def test_a_forwarded_request_is_not_local() -> None:
    assert status(replace(COMMAND, is_forwarded=True)) == 401
    assert status(replace(COMMAND, is_forwarded=True, authorization=f"Bearer {TOKEN}")) == 200


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        (None, 200),
        ("http://127.0.0.1:11180", 200),
        ("https://127.0.0.1:11180", 200),
        ("HTTP://127.0.0.1:11180", 200),
        ("http://127.0.0.1", 403),
        ("http://localhost:11180", 403),
        ("http://attacker.example", 403),
        ("file://127.0.0.1:11180", 403),
        ("null", 403),
        ("", 403),
        ("http://[", 403),
    ],
)
def test_pages_of_other_servers_do_not_command(origin: str | None, expected: int) -> None:
    assert status(replace(COMMAND, origin=origin)) == expected


def test_the_token_does_not_help_a_page_of_another_server() -> None:
    request = replace(ELSEWHERE, authorization=f"Bearer {TOKEN}", origin="http://attacker.example")
    assert status(request) == 403


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("application/json", 200),
        ("Application/JSON; charset=utf-8", 200),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("text/plain; application/json", 415),
        (None, 415),
    ],
)
def test_a_form_of_a_web_page_cannot_command(content_type: str | None, expected: int) -> None:
    assert status(replace(COMMAND, content_type=content_type)) == expected


def test_a_script_may_command_without_a_body() -> None:
    bare = replace(COMMAND, content_type=None, has_body=False)
    assert status(bare) == 200
    assert status(replace(bare, origin="http://127.0.0.1:11180")) == 415


def test_host_names() -> None:
    assert host_name("Observatory.Local.:80") == "observatory.local"
    assert host_name("[FD00::1]:80") == "fd00::1"
    assert host_name("a b") == "a b"
    assert host_name("x:y@z") is None


def test_the_token_is_not_shown() -> None:
    assert TOKEN not in repr(RULES)
    assert TOKEN not in repr(replace(COMMAND, authorization=TOKEN))
