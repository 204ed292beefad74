"""The program's log goes through a ``QueueListener``; the handler of the root logger holds its queue."""

import logging
import logging.handlers
import queue


def program() -> None:
    records: queue.Queue[logging.LogRecord] = queue.Queue()
    logging.getLogger().addHandler(logging.handlers.QueueHandler(records))
    logging.handlers.QueueListener(records, logging.NullHandler()).start()
    logging.getLogger().warning("hello")
