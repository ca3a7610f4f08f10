"""Whatever headers a request has, nobody else commands without the token, nor does a page of another server."""

from dataclasses import replace
from ipaddress import ip_network
from urllib.parse import urlsplit

from hypothesis import given
from hypothesis import strategies as st

from alpaca_focus.web.security import READ_METHODS, AccessRules, RequestFacts, host_name, refusal

TOKEN = "a-token-that-nobody-guesses"  # noqa: S105 - made up
RULES = AccessRules(allowed=(ip_network("192.168.1.0/24"),), names=frozenset({"observatory"}), token=TOKEN)
HOSTS = st.one_of(
    st.text(max_size=40),
    st.sampled_from(("localhost", "observatory:11180", "[::1]:80", "attacker.example", "localhost@attacker.example")),
)
TEXTS = st.none() | st.text(max_size=60) | st.sampled_from(("null", "http://localhost", f"Bearer {TOKEN}x", "bearer"))

REQUESTS = st.builds(
    RequestFacts,
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
def test_without_the_token_others_only_read(request: RequestFacts) -> None:
    refused = refusal(request, RULES)
    if refused is None and request.method not in READ_METHODS:
        assert request.client is not None
        assert request.client.startswith(("127.", "::1", "::ffff:127."))
        assert not request.is_forwarded
    if refused is not None:
        assert refused.status in {401, 403, 415}
        assert TOKEN not in refused.sentence


@given(REQUESTS)
def test_a_page_of_another_server_does_not_command_even_with_the_token(request: RequestFacts) -> None:
    request = replace(request, authorization=f"Bearer {TOKEN}")
    if refusal(request, RULES) is None and request.method not in READ_METHODS and request.origin is not None:
        assert urlsplit(request.origin).netloc.lower() == request.hosts[0].lower()
        assert request.content_type is not None


@given(HOSTS)
def test_a_name_that_is_not_this_computers_is_refused(host: str) -> None:
    refused = refusal(RequestFacts(method="GET", client="127.0.0.1", hosts=(host,)), RULES)
    if refused is None:
        name = host_name(host)
        assert name in {"localhost", "observatory"} or (name is not None and (":" in name or name[-1].isdigit()))
