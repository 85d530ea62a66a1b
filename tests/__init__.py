"""Tests: transcripts of the dialog on both databases, and what each room promises."""
