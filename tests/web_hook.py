"""A service that messages are sent to: what Apprise posts as JSON."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


class WebHook:
    """An HTTP server on loopback; use it as a context manager.

    Attributes:
        told: What was posted.
        status: What it answers.
        lets_go: Answers wait for it.
    """

    def __init__(self) -> None:
        hook = self
        self.told: list[dict[str, Any]] = []
        self.status = 200
        self.lets_go = threading.Event()
        self.lets_go.set()
        self._came = threading.Condition()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.lets_go.wait(30.0)
                with hook._came:
                    hook.told.append(json.loads(body))
                    hook._came.notify_all()
                self.send_response(hook.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_args: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"json://user:hunter2@127.0.0.1:{self._server.server_address[1]}/secret-path"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.lets_go.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def messages(self, count: int, within_s: float = 20.0) -> list[dict[str, Any]]:
        """Wait for so many messages."""
        with self._came:
            assert self._came.wait_for(lambda: len(self.told) >= count, within_s), self.told
        return self.told
