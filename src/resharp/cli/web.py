"""`resharp web`: the web page."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from resharp.cli.console import note, say
from resharp.cli.options import DebugOption, DeviceOption, pick_device


def web(
    host: Annotated[str, typer.Option(help="0.0.0.0 is open to the network.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 7860,
    model: Annotated[
        str | None,
        typer.Option(metavar="NAME|PATH|ID", help="default, one-step, a model folder or Hub id; default: default."),
    ] = None,
    device: DeviceOption = "auto",
    max_upload: Annotated[str, typer.Option(metavar="SIZE", help="Largest file, such as 50MB.")] = "50MB",
    max_pixels: Annotated[int, typer.Option(min=1, help="Most pixels of a photo.")] = 50_000_000,
    max_photos: Annotated[int, typer.Option(min=1, help="Most photos of one batch.")] = 30,
    max_waiting: Annotated[int, typer.Option(min=0, help="Most jobs that wait for their turn.")] = 8,
    concurrency: Annotated[int, typer.Option(min=1, help="Photos restored at the same time.")] = 1,
    timeout: Annotated[float, typer.Option(metavar="SECONDS", help="Longest time for one photo.")] = 900.0,
    debug: DebugOption = False,
) -> None:
    """Serve a web page that restores photos. Stop it with Ctrl-C; all its files go with it."""
    from resharp.web.limits import Limits, parse_size
    from resharp.web.server import WebServer, check_installed, is_loopback

    limits = Limits(
        max_upload_bytes=parse_size(max_upload),
        max_pixels=max_pixels,
        max_photos=max_photos,
        concurrency=concurrency,
        max_waiting=max_waiting,
        timeout_s=timeout,
    )
    check_installed()
    where = pick_device(device)
    from resharp.pipeline import DeblurPipeline
    from resharp.provenance import origin_of

    pipeline = DeblurPipeline.from_pretrained(model).to(where)
    pipeline.task.require_deblurring("resharp web")
    server = WebServer(pipeline, origin_of(model), limits, host, port)
    if not is_loopback(host):
        note(f"resharp: {host} is open to others in the network, without a password and unencrypted")
    with server.running():
        say(server.address)
        while True:
            time.sleep(3600)
