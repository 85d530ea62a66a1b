"""A provider with an HTTP API, described by a file: the keys that the file may have, checked whole at start.

named_file.py  a file that a setting names, read whole
places.py      what a profile fills in: {to}, {text}, {ref}
values.py      what the values mean: reasons, statuses, paths into an answer
spellings.py   what may be said in more ways than one, brought to one
faults.py      what is wrong with a file, and what to write in its place
profile.py     the keys, each with what it means
provider.py    a profile with its secrets, from the settings
"""
