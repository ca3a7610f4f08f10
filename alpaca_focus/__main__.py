"""The entry of the command: small, so that an interrupt while the rest is still being loaded ends it quietly."""

import sys


def main() -> None:
    """Run the command line."""
    try:
        from alpaca_focus.cli import main as run  # noqa: PLC0415 - loading takes a second, in which Ctrl-C may come
    except KeyboardInterrupt:
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
