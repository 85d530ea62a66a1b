"""What providers are asked for, where they don't call.

polls.py            which process asks, and from where on
polled_messages.py  texts that were fetched and wait to be heard, encrypted
"""
