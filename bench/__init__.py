"""Side-by-side measurements of penstock's core against its peers: ``python -m bench`` from the repository root.

bench/
  cli.py        the command line: choose rows, run, print, save
  registry.py   what a row is: contenders that do the same work, and the bars between them
  measure.py    run a row: rounds, interleaving, medians, ratios
  threads.py    start bodies in threads together, time them, fail instead of hanging
  go.py         build and call the Go peer (go/main.go) when a toolchain is found
  machine.py    the facts about this machine that a figure needs beside it
  report.py     results as a table, as JSON, and as Markdown inside docs/performance.md
  rows/         one file per theme; rows/__init__.py lists them all
"""
