"""Noting, while somebody watches, where threads and tasks are started and things are made."""
