"""The checks, one module per group: pure functions from facts to verdicts.

A check yields what it found, nothing if all is well, or one `passed(...)` with the
measured value that shows it. It does no I/O and does not know its own name: ids,
titles and the rules' sources are in `registry.CHECKS`.
"""
