"""`alpaca-focus doctor`: per subject a probe, which collects facts, and pure rules, which turn facts into checks."""
