"""Stand-ins for providers, on this machine: each as its own documentation has it.

standin.py      what they have in common: a server, what it was asked, the ways in which it can be in trouble
kavenegar.py, magfa.py, melipayamak.py, smsir.py, ippanel.py, jasmin.py  one provider each
described.py    one for any profile, made of the profile itself
wire.py         a provider's side of its gateway, for the contract that every gateway keeps
invented.toml   the profile of a provider that there is not, with odd names
twilio_standin.py  Twilio's REST API, as the SDK calls it
kannel_standin.py, kannel_wire.py  Kannel's sendsms and its callbacks, without Kannel
smpp_operator.py  an operator's SMPP centre, for the real Kannel
"""
