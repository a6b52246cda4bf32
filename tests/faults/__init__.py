"""What must be survived: one test for each case, against real processes on loopback.

`docs/reliability.md` is the table of them all: `make reliability` writes it from a run.
"""
