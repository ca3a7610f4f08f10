import pytest

from alpaca_focus.alpaca.http import build_request, split_authority


@pytest.mark.parametrize(
    ("authority", "host"),
    [
        ("pi:80", b"pi:80"),
        ("[fe80::1%eth0]:5000", b"[fe80::1]:5000"),
        ("b\u00fccher.example:1", b"xn--bcher-kva.example:1"),
    ],
)
def test_the_host_header_has_no_zone_and_is_ascii(authority: str, host: bytes) -> None:
    assert b"\r\nHost: " + host + b"\r\n" in build_request("GET", "/", authority=authority)


@pytest.mark.parametrize("authority", ["", "http://host:1", "host:1/path", "host:port", "user@host:1", ":80"])
def test_an_authority_is_a_host_and_a_port(authority: str) -> None:
    with pytest.raises(ValueError, match=r"host|[Pp]ort"):
        split_authority(authority)


def test_an_authority_may_leave_out_the_port() -> None:
    assert split_authority("[::1]") == ("::1", 80)
    assert split_authority("pi:11111") == ("pi", 11111)
