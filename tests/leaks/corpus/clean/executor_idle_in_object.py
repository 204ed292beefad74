"""An object that is in use owns an executor with an idle worker."""

from concurrent.futures import ThreadPoolExecutor


class Client:
    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="client")

    def ask(self, question: str) -> str:
        return self._executor.submit(str.upper, question).result()


CLIENTS: list[Client] = []


def program() -> None:
    client = Client()
    assert client.ask("why") == "WHY"
    CLIENTS.append(client)
