"""An executor in a ``with`` block, left when its jobs have ended, one of them with an error."""

from concurrent.futures import ThreadPoolExecutor


def program() -> None:
    with ThreadPoolExecutor(max_workers=2) as executor:
        futures = [executor.submit(int, text) for text in ("1", "two")]
    assert futures[0].result() == 1
    assert isinstance(futures[1].exception(), ValueError)
