"""One table from a database to a file or an object store: Penstock beside what people use today.

    python -m bench.tables --plan full --source postgres --format csv ndjson parquet --part file s3 memory

The table is TPC-H's lineitem. Every mover runs as a process of its own, one after another, each several times; what counts is
the process as a whole: seconds from start to exit, the most memory its process tree had, and the processor time it took.
A mover that delivers another number of rows than there are is shown as failed, with what it said.

Two more have commands of their own, and need no other program: ``python -m bench.tables.values``, memory against the size of
one value, and ``python -m bench.tables.cancel``, how soon a cancelled copy is gone. With ``--update-page`` each of the three
puts its table into docs/performance.md.
"""
