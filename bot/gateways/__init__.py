"""One module per provider, and one for all that have an HTTP API.

A provider with an HTTP API needs a profile and no code. For any other: a module with a class that keeps
ports.Gateway, and its line in registry.py.

simulated.py  a carrier that reaches no further than this machine
twilio.py     Twilio
kannel.py     Kannel, an SMS gateway that the operator runs
http/         every provider that profiles/ describes, a file each
registry.py   the gateways by their names in GATEWAYS
"""
