"""A module's session keeps its connection for the next request; the bodies were read or closed."""

import requests

from tests.leaks.corpus.http_service import start_http_service

REQUIRES = ("requests",)

session = requests.Session()
answers: list[requests.Response] = []
urls: list[str] = []


def prepare() -> None:
    urls.append(start_http_service(1000))


def program() -> None:
    with session.get(urls[0], timeout=10, stream=True) as answer:
        answers.append(answer)
    answers.append(session.get(urls[0], timeout=10, stream=True))
    for _block in answers[1].iter_content(100):
        pass
    answers.append(session.get(urls[0], timeout=10))
