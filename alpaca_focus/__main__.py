"""`python -m alpaca_focus` is the command `alpaca-focus`."""

from alpaca_focus.cli import main

main()
