"""A ``socketserver`` in a thread, shut down, closed and joined."""

import socketserver
import threading


def program() -> None:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), socketserver.BaseRequestHandler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        server.shutdown()
        thread.join()
