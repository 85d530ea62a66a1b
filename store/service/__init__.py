"""What the service keeps about itself: its season, its jobs, its gateways' health, its counts and its keys.

seasons.py           when the Umrah operation is on
heartbeats.py        when each job last ran, and which process's turn it is
circuit_breakers.py  the health of each gateway
clock_set_back.py    times that lie further ahead than any can
counters.py          how often things have happened
counting.py          what one process counts, until it writes it down
key_checks.py        which keys of SECRET_KEYS it knows
send_shares.py       how many texts a second each process may send
"""
