"""A log file is opened on first use and stays open: the logging module holds it."""

import logging
import shutil
import tempfile
from pathlib import Path

folders: list[str] = []


def program() -> None:
    folders.append(tempfile.mkdtemp(prefix="logs-"))
    handler = logging.FileHandler(Path(folders[0]) / "log", encoding="utf-8")
    logging.getLogger("service").addHandler(handler)
    logging.getLogger("service").warning("started")


def cleanup() -> None:
    shutil.rmtree(folders[0])
