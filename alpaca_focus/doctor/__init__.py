"""The doctor: each subject's probe gathers facts, gently, and its rules, pure functions on these, judge them."""
