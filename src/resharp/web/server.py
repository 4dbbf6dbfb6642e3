"""The web server: Gradio behind our gate, on uvicorn, its files in one folder that goes when it ends."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from resharp.errors import ConfigError
from resharp.pipeline import DeblurPipeline
from resharp.receipt import Origin
from resharp.web.estimate import calibrate
from resharp.web.gate import LOOPBACK, PHOTO, Gate
from resharp.web.limits import Limits
from resharp.web.service import Service
from resharp.web.visitors import Visitors
from resharp.web.work import told

_SWEEP_S = 20.0
_PATIENCE_S = 30.0
# Read by Gradio and by huggingface_hub, on which it depends, when they are imported.
_QUIET = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "GRADIO_SHARE": "False",
    "GRADIO_MCP_SERVER": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
}
_MISSING = "the web page needs gradio: pip install 'resharp[web]'"


def check_installed() -> None:
    """Raise ConfigError where the extra is missing."""
    os.environ.update(_QUIET)
    try:
        import gradio  # noqa: F401
    except ImportError as error:
        raise ConfigError(_MISSING) from error


def is_loopback(host: str) -> bool:
    """Whether only this computer can reach a server that listens there."""
    return host in LOOPBACK or host.startswith("127.")


def make_asgi(service: Service, host: str) -> Any:
    """The whole application. Gradio's own folder becomes that of the visitors, which is process-wide."""
    check_installed()
    os.environ["GRADIO_TEMP_DIR"] = str(service.visitors.root)
    import gradio as gr
    from fastapi import FastAPI
    from starlette.routing import Route

    from resharp.web.app import build_app
    from resharp.web.receiving import Receiving
    from resharp.web.theme import make_theme, page_file

    here = is_loopback(host)
    outer = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    outer.router.routes.append(Route(PHOTO, Receiving(service.visitors)))
    gr.mount_gradio_app(
        outer,
        build_app(service, here=here),
        path="/",
        app_kwargs={"docs_url": None, "redoc_url": None, "openapi_url": None},
        theme=make_theme(),
        css=page_file("style.css"),
        footer_links=[],
        run_history=False,
        show_error=False,
        max_file_size=0,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        enable_monitoring=False,
    )
    return Gate(outer, service.visitors, {*LOOPBACK, host} if here else None)


class WebServer:
    """Listening from the moment it is made; `address` tells where.

    Args:
        host, port: port 0 takes a free one.

    Raises:
        ConfigError: gradio is not installed, or the address cannot be had.
    """

    def __init__(self, pipeline: DeblurPipeline, origin: Origin, limits: Limits, host: str, port: int) -> None:
        check_installed()
        import uvicorn

        self.visitors = Visitors(limits)
        self.service = Service(pipeline, origin, limits, self.visitors)
        try:
            application = make_asgi(self.service, host)
            options = {"log_level": "critical", "access_log": False, "timeout_graceful_shutdown": 2}
            config = uvicorn.Config(application, host=host, port=port, server_header=False, **options)
            self._server = uvicorn.Server(config)
            self._socket = _listen(host, port)
        except BaseException:
            self.visitors.close()
            raise
        shown = f"[{host}]" if ":" in host else host
        self.port = self._socket.getsockname()[1]
        self.address = f"http://{shown}:{self.port}/"

    @contextmanager
    def running(self) -> Iterator[None]:
        """Serve in the background during the block; all files are gone after it."""
        thread = threading.Thread(target=self._server.run, args=([self._socket],), daemon=True)
        end_sweeping = self.visitors.sweep_every(_SWEEP_S)
        thread.start()
        stop = threading.Event()
        measuring = threading.Thread(target=self._measure, args=(stop,), daemon=True)
        measuring.start()
        try:
            yield
        finally:
            stop.set()
            self.visitors.close()  # at once: a second Ctrl-C may cut short what follows
            self._server.should_exit = True
            thread.join(_PATIENCE_S)
            end_sweeping()
            self.visitors.close()
            self._socket.close()
            # torch does not like the interpreter to end in the middle of a network call.
            measuring.join(_PATIENCE_S)
            self.service.line.wait_until_idle(_PATIENCE_S)

    def _measure(self, stop: threading.Event) -> None:
        """Calibrate while the page can be opened already; without a measurement no seconds are told."""
        try:
            self.service.estimator = calibrate(self.service.pipeline, stop)
        except Exception as error:
            told(error)


def _listen(host: str, port: int) -> Any:
    import socket

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name != "nt":  # there it would let two servers share a port
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(128)
    except (OSError, OverflowError) as error:
        listening.close()
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"{host}:{port}: cannot listen here ({reason}); choose another --host or --port") from error
    return listening
