"""Side-by-side measurements of penstock against its peers: ``python -m bench`` from the repository root.

bench/
  cli.py        the command line: choose rows, run, print, save
  registry.py   what a row is: contenders that do the same work, and the bars between them
  measure.py    run a row: rounds, interleaving, medians, ratios
  threads.py    start bodies in threads together, time them, fail instead of hanging
  leak_costs.py a process of known size, in which a check for leaks is timed
  detectors.py  detectors of leaks, each asked about one program of tests/leaks/corpus
  findings.py   who finds what in that corpus: ``python -m bench.findings``
  go.py         build and call the Go peer (go/main.go) when a toolchain is found
  machine.py    the facts about this machine that a figure needs beside it
  report.py     results as a table, as JSON, and as Markdown inside docs/performance.md
  rows/         one file per theme; rows/__init__.py lists them all
"""
