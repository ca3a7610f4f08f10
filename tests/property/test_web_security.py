"""Whatever a request says of itself, nobody commands from elsewhere without the token, nor a page of somebody else."""

from dataclasses import replace
from ipaddress import ip_network
from urllib.parse import urlsplit

from hypothesis import given
from hypothesis import strategies as st

from alpaca_focus.web.security import LOOKING, AccessRules, Asked, host_name, refusal

TOKEN = "a-token-that-nobody-guesses"  # noqa: S105 - made up
RULES = AccessRules(allowed=(ip_network("192.168.1.0/24"),), names=frozenset({"observatory"}), token=TOKEN)
HOSTS = st.one_of(
    st.text(max_size=40),
    st.sampled_from(("localhost", "observatory:11180", "[::1]:80", "attacker.example", "localhost@attacker.example")),
)
TEXTS = st.none() | st.text(max_size=60) | st.sampled_from(("null", "http://localhost", f"Bearer {TOKEN}x", "bearer"))

REQUESTS = st.builds(
    Asked,
    method=st.sampled_from(("GET", "HEAD", "POST", "PUT", "DELETE", "get", "")) | st.text(max_size=8),
    client=st.none() | st.ip_addresses().map(str) | st.sampled_from(("127.0.0.1", "::1", "192.168.1.7")) | st.text(),
    hosts=st.lists(HOSTS, max_size=2).map(tuple),
    origin=TEXTS,
    content_type=TEXTS | st.just("application/json"),
    authorization=TEXTS,
    has_body=st.booleans(),
    is_forwarded=st.booleans(),
)


@given(REQUESTS)
def test_without_the_token_others_only_look(asked: Asked) -> None:
    refused = refusal(asked, RULES)
    if refused is None and asked.method not in LOOKING:
        assert asked.client is not None
        assert asked.client.startswith(("127.", "::1", "::ffff:127."))
        assert not asked.is_forwarded
    if refused is not None:
        assert refused.status in {401, 403, 415}
        assert TOKEN not in refused.sentence


@given(REQUESTS)
def test_a_page_of_somebody_else_does_not_command_even_with_the_token(asked: Asked) -> None:
    asked = replace(asked, authorization=f"Bearer {TOKEN}")
    if refusal(asked, RULES) is None and asked.method not in LOOKING and asked.origin is not None:
        assert urlsplit(asked.origin).netloc.lower() == asked.hosts[0].lower()
        assert asked.content_type is not None


@given(HOSTS)
def test_a_name_is_ours_or_refused(host: str) -> None:
    refused = refusal(Asked(method="GET", client="127.0.0.1", hosts=(host,)), RULES)
    if refused is None:
        name = host_name(host)
        assert name in {"localhost", "observatory"} or (name is not None and (":" in name or name[-1].isdigit()))
