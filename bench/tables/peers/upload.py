"""Put into an object what a command writes to standard output, with boto3. upload.py TARGET COMMAND..."""

import subprocess
import sys
from urllib.parse import urlsplit

import boto3

target, *command = sys.argv[1:]
place = urlsplit(target)
with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
    boto3.client("s3").upload_fileobj(process.stdout, place.netloc, place.path[1:])
sys.exit(process.returncode)
