"""The dialogs, as plain tables: state, event, next state, effects. README.md's diagrams are drawn from them.

dialog.py         what a dialog is made of
recovery.py       the pilgrim's
staff.py          the staff's
mobile_change.py  that of a change of registered mobile
machine.py        one step of any of them, and its drawing
"""
