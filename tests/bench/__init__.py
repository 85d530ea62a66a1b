"""Benchmarks: `make bench`. Each figure is a ratio to a floor that is measured in the same run, in turn with it."""
