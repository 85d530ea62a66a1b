"""One module per provider, and one for all that have an HTTP API.

twilio.py     Twilio
kannel.py     Kannel, over an operator's SMPP
simulated.py  a carrier that reaches no further than this machine
http/         every provider that profiles/ describes, a file each

A provider with an HTTP API needs a profile and no code. For any other: a module with a class that keeps
ports.Gateway, and its line in build.py.
"""
