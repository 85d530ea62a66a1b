"""The long fault test, `make soak`: services under load, faults in a seed's order, the books afterwards.

run.py        the run: two worlds at once, their faults in turn, what is said of them
worlds.py     a database, its services and carriers: two services on PostgreSQL, one on SQLite
hosts.py      one service: `flask serve`, started, ended, killed, frozen
databases.py  PostgreSQL that can be restarted, SQLite, and the small disks that they lie on
clocks.py     a clock that can be set for the services only (set_clock.c)
carriers.py   the providers' side: what they took, what they are in trouble with, their receipts
doors.py      how texts, receipts and calls reach a service, and what was answered
load.py       what pilgrims, staff and Fakher do
faults.py     what befalls a service, a database, a clock, the keys, the gateways, and how each is undone
evidence.py   what there is to see once all is quiet
reconcile.py  what must hold of it: a list of named functions
"""
