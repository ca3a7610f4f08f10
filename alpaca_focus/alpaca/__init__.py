"""The ASCOM Alpaca protocol: ImageBytes, errors, discovery, an HTTP client, and a small server.

"The five servers" in comments are those whose deviations were recorded: the Alpaca services of INDIGO and INDI,
AlpacaPi, and two in Python.
"""
