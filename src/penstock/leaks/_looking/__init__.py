"""Inspect threads, functions, their stacks, and objects and their holders, without changing any of them."""
