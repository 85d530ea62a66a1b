"""A trial on one machine: `make run`. A service for real people has none of it.

state.py  how far the trial's clock is ahead, and which faults its carrier has
demo.py   the people of a trial, made up
"""
