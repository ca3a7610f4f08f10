"""Who may connect to a server of this program."""

from ipaddress import ip_network


def checked_networks(allow: list[str], listen: str, *, to_do: str) -> list[str]:
    """Return the addresses and networks that may connect besides this computer, checked.

    Args:
        allow: They.
        listen: Address that is listened on.
        to_do: What they come for, for the message.

    Raises:
        ValueError: One is no network, or there is none although others are listened to.
    """
    for each in allow:
        try:
            ip_network(each, strict=False)
        except ValueError:
            raise ValueError(f'"{each}" is neither an address nor a network such as 192.168.1.0/24') from None
    if not allow and not listen.startswith("127.") and listen not in {"::1", "localhost"}:
        raise ValueError(
            f"nobody but this computer is allowed, and {listen} is for others: name who may {to_do}, or listen on "
            "127.0.0.1"
        )
    return allow
