"""A process that was joined, with a queue that was closed; what both used is gone with them."""

import multiprocessing
from multiprocessing.queues import Queue


def answer(questions: "Queue[int]") -> None:
    assert questions.get() == 1


def program() -> None:
    context = multiprocessing.get_context("fork")
    questions = context.Queue()
    process = context.Process(target=answer, args=(questions,))
    process.start()
    questions.put(1)
    process.join()
    assert process.exitcode == 0
    process.close()
    questions.close()
    questions.join_thread()
