"""Put into an object what a command writes to standard output, with obstore. upload.py TARGET COMMAND..."""

import subprocess
import sys
from functools import partial
from urllib.parse import urlsplit

import obstore
from obstore.store import S3Store

PART_BYTES = 8 << 20
PIECE_BYTES = 1 << 20

target, *command = sys.argv[1:]
place = urlsplit(target)
store = S3Store(place.netloc, client_options={"allow_http": True})
with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
    pieces = iter(partial(process.stdout.read1, PIECE_BYTES), b"")  # as a file it would have to be seekable
    obstore.put(store, place.path[1:], pieces, chunk_size=PART_BYTES)
sys.exit(process.returncode)
