"""Fakher, the reservation system: what it asks, and what it is told. HTTP in is in webhooks/api/.

service.py  codes and passwords verified, passwords set
events.py   changed passwords and locked accounts, posted (Standard Webhooks)
"""
