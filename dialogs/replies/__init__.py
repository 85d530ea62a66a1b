"""What is sent back.

phrases.py   a phrase, a language and parameters make a text
segments.py  how many texts that is on the air
"""
