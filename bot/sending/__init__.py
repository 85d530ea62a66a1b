"""One text sent, from its row to its receipt.

messages.py     a text to be sent, as a row; which form of a phrase the settings ask for
courier.py      claims what waits, sends it, records what became of it
failover.py     by which gateway a text goes, and which are out of order
throttle.py     how fast texts leave
share.py        which part of the rate is this process's, of all that live
receipts.py     how far texts have come; sends a code once more that did not arrive
undelivered.py  tells staff of texts, sent at their order, that did not arrive
flood_guard.py  whether requests from other phones wait, for too many codes go out
"""
