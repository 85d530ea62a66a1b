"""What the service keeps about itself: its season, its jobs, its gateways' health and its counts.

seasons.py           when the Umrah operation is on
heartbeats.py        when each job last ran
circuit_breakers.py  how each gateway fares
counters.py          how often things have happened
send_shares.py       how many texts a second each process may send
"""
