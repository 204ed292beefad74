"""The job's log handler is taken out again, but its ``QueueListener`` is not stopped: its thread waits for records."""

import logging
import logging.handlers
import queue

from tests.leaks.corpus import Expected

LEAKS = [Expected(kind="thread", proven=True, function="_monitor", blocked_on="queue.Queue.get")]


def program() -> None:
    records: queue.Queue[logging.LogRecord] = queue.Queue()
    handler = logging.handlers.QueueHandler(records)
    logger = logging.getLogger("job")
    logger.addHandler(handler)
    logging.handlers.QueueListener(records, logging.NullHandler()).start()
    logger.removeHandler(handler)
