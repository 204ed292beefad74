"""Workers range over a penstock channel that is closed when everything has been sent: no receiver is abandoned."""

import threading

from penstock.core.channel import ReceiveChannel, channel


def work(numbers: ReceiveChannel[int], squares: list[int]) -> None:
    with numbers:
        for number in numbers:
            squares.append(number**2)  # noqa: PERF401, not before the channel has ended


def program() -> None:
    squares: list[int] = []
    send, receive = channel(2)
    with send, receive:
        workers = [threading.Thread(target=work, args=(receive.clone(), squares)) for _ in range(3)]
        for worker in workers:
            worker.start()
        for number in range(10):
            send.send(number)
    for worker in workers:
        worker.join()
    assert sorted(squares) == [number**2 for number in range(10)]
