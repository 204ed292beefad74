"""What is left at an object store, or in a folder, when a write goes wrong half-way: Penstock beside other writers.

    python -m bench.faults            # prints the tables of docs/comparison.md

Each writer runs in a process of its own, against a real S3 server that checks signatures and part sizes. Three things happen
to it: what it reads from fails after 24 MiB, it is told to end by SIGTERM after 20 MiB, or the store refuses its first part with 403.
Afterwards the server is asked what can be seen: an object that holds half of the data, an upload that nobody has ended.
"""
