"""How a command ends, for a script."""

from alpaca_focus.core.values import Outcome

EXIT_CODES = {Outcome.FOCUSED: 0, Outcome.RESTORED: 1, Outcome.STRANDED: 3}
EXIT_MEND = 2
EXIT_RUNS_ALREADY = 4
"""Nothing to mend: the same command works once the other alpaca-focus has ended."""
