"""Ways to ask that need a file of their own: a whole script, and a running service."""
