"""The composition root of `alpaca-focus run`: sessions, the status, notifications, links to the gateway and the web."""
