"""Records to standard output as they are made: `python examples/02_records_to_stdout.py | jq .celsius`.

A pipe without a buffer is a rendezvous, so whoever makes records is never more than one ahead of whoever prints them,
however slow the printer and however many the records. Data goes to stdout, words about it to stderr.
"""

from __future__ import annotations

import json
import sys

import penstock

RECORDS = 10


class Thermometer:
    """Makes records, and knows how many it has made."""

    made = 0

    def write_records(self, writer: penstock.PipeWriter) -> None:
        for number in range(1, RECORDS + 1):
            penstock.sleep(0.05)  # one record takes a while
            self.made = number
            writer.write(json.dumps({"record": number, "celsius": 20 + number / 10}).encode() + b"\n")


def main() -> None:
    thermometer = Thermometer()
    furthest_ahead = printed = 0
    with penstock.reading_from(thermometer.write_records) as reader:
        for record in reader:
            furthest_ahead = max(furthest_ahead, thermometer.made - printed)
            sys.stdout.buffer.write(record)
            sys.stdout.buffer.flush()
            printed += 1
    print(f"{printed} records; never more than {furthest_ahead} made and not yet printed", file=sys.stderr)
    assert printed == RECORDS
    assert furthest_ahead <= 2  # the one that is being printed, and the next


if __name__ == "__main__":
    main()
