"""The page: its parts wired to what they do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from resharp.web.handlers import OnePhoto
from resharp.web.layout import Page, build_page, relabelled
from resharp.web.many import ManyPhotos
from resharp.web.service import Service
from resharp.web.words import pick_language

# Light work waits for no one; jobs wait in our own line, which tells the visitor how long it is.
_LIGHT: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "undocumented"}
_JOB: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "undocumented", "concurrency_limit": None}
_ARRIVAL: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "undocumented", "concurrency_limit": 2}


def build_app(service: Service, *, here: bool) -> gr.Blocks:
    """The page's Blocks.

    here: whether the server listens to this computer only, for what is said of privacy.
    """
    with gr.Blocks(title="resharp", analytics_enabled=False) as blocks:
        page = build_page(service)
        _words(blocks, service, page, here)
        _one(service, page)
        _several(service, page)
        blocks.unload(_leaver(service))
    # In front of our own line, so that a flood of small events is bounded too.
    blocks.queue(max_size=200, api_open=False, default_concurrency_limit=8)
    return blocks


def _words(blocks: gr.Blocks, service: Service, page: Page, here: bool) -> None:
    one = OnePhoto(service, page)

    def opened(request: gr.Request) -> dict[Any, Any]:
        language = pick_language(request.headers.get("accept-language", ""))
        return relabelled(service, page, language, here=here) | {page.language: gr.update(value=language)}

    def switched(request: gr.Request, language: str, *settings: Any) -> dict[Any, Any]:
        return relabelled(service, page, language, here=here) | one.reworded(request, language, *settings)

    labelled = list(relabelled(service, page, "en", here=here))
    # The language of the document, for screen readers, hyphenation and fonts.
    mark = "(language) => { document.documentElement.lang = language; }"
    blocks.load(opened, None, [*labelled, page.language], **_LIGHT)
    dynamic = [page.expected, page.remark, page.legend, page.hint]
    page.language.input(switched, [page.language, *page.controls.inputs], [*labelled, *dynamic], **_LIGHT)
    page.language.change(None, page.language, None, js=mark)


def _one(service: Service, page: Page) -> None:
    one = OnePhoto(service, page)
    inputs = [page.language, *page.controls.inputs]
    names = (
        "drop_place results slider tab_versions gallery tab_trust trust legend remark download progress picture hint"
    )
    outputs = [getattr(page, name) for name in [*names.split(), "expected", "start", "stop", "another"]]
    arrived = page.drop.dropped(one.dropped, inputs, outputs, **_ARRIVAL)
    arrived.then(one.measured, inputs, page.expected, **_JOB)
    page.picture.select(one.tried, inputs, outputs, api_name="try", **_JOB)
    done = page.start.click(one.started, inputs, outputs, api_name="sharpen", **_JOB)
    done.then(one.expected, inputs, page.expected, **_LIGHT)  # the run has taught something
    page.stop.click(one.stopped, None, None, **_LIGHT)
    page.another.click(one.another, None, outputs, **_LIGHT)
    changes = [getattr(each, "release", each.change) for each in page.controls.inputs[:4]]
    gr.on(changes, one.expected, inputs, page.expected, trigger_mode="always_last", **_LIGHT)


def _several(service: Service, page: Page) -> None:
    many, one = ManyPhotos(service, page), OnePhoto(service, page)
    inputs = [page.language, *page.controls_many.inputs]
    names = "drop_place progress report download expected start stop another"
    outputs = [getattr(page, f"{name}_many") for name in names.split()]
    page.drop_many.dropped(many.dropped, inputs, outputs, **_ARRIVAL)
    page.start_many.click(many.started, inputs, outputs, api_name="sharpen_many", **_JOB)
    page.stop_many.click(one.stopped, None, None, **_LIGHT)
    page.another_many.click(many.another, None, outputs, **_LIGHT)
    changes = [getattr(each, "release", each.change) for each in page.controls_many.inputs[:4]]
    gr.on(changes, many.expected, inputs, page.expected_many, trigger_mode="always_last", **_LIGHT)


def _leaver(service: Service) -> Callable[[gr.Request], None]:
    def leave(request: gr.Request) -> None:
        if request.session_hash is not None:
            service.visitors.leave(request.session_hash)

    return leave
