"""What the service keeps about itself: its season, its jobs, its gateways' health and its counts.

seasons.py           when the Umrah operation is on
heartbeats.py        when each job last ran
circuit_breakers.py  how each gateway fares
clock_set_back.py    times that lie further ahead than any can
counters.py          how often things have happened
"""
