"""What happens on the tab of one photo."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from resharp.errors import ImageError, ResharpError
from resharp.web import views
from resharp.web.display import marked, region_at, save_preview
from resharp.web.jobs import TRY_PX, Shown, cut_part, open_photo, restore
from resharp.web.layout import Page
from resharp.web.service import Asked, Service
from resharp.web.views import Updates
from resharp.web.visitors import COOKIE, NotYoursError, Tab
from resharp.web.words import say, say_seconds
from resharp.web.work import Done, Preview, Sample, Watcher, told, watched

_PATIENCE_S = 60.0


def asked_for(quality: str, fidelity: float, samples: float, steps: float, seed: float, *ticks: bool) -> Asked:
    """The values of `Controls.inputs`; what a browser leaves empty is taken as at the start."""
    force, strip_gps = ticks
    return Asked(quality, float(fidelity), int(samples), int(steps), int(seed or 0), bool(force), bool(strip_gps))


def tab_of(service: Service, request: gr.Request) -> Tab:
    """The tab that an event comes from.

    Raises:
        NotYoursError: its session is not of the browser that it comes from.
    """
    visitor = service.visitors.visitor(request.cookies.get(COOKIE))
    if visitor is None or request.session_hash is None:
        raise NotYoursError("open the page first")
    return service.visitors.tab(request.session_hash, visitor)


class OnePhoto:
    """Event handlers; each returns or yields updates of the page's parts."""

    def __init__(self, service: Service, page: Page) -> None:
        self.service, self.page = service, page

    def dropped(self, request: gr.Request, data: gr.EventData, language: str, *settings: Any) -> Updates:
        """A photo has come."""
        page, tab = self.page, tab_of(self.service, request)
        try:
            (key,) = data._data["ids"]
            path = self.service.visitors.take(tab, str(key))
            copy = open_photo(self.service, tab, path)
        except ResharpError as error:
            return views.empty(page) | views.show_error(page, self._say(tab, language, error))
        updates = views.empty(page) | views.idle(page)
        updates[page.drop_place] = gr.update(visible=False)
        updates[page.picture] = gr.update(value=str(copy), visible=True)
        updates[page.start] = gr.update(interactive=True, variant="primary")
        if min(tab.size) > TRY_PX:
            updates[page.hint] = gr.update(value=views.hint(say(language, "try_part")), visible=True)
        updates[page.expected] = self.expected(request, language, *settings)
        return updates

    def expected(self, request: gr.Request, language: str, *settings: Any) -> str:
        """The seconds that the settings will cost."""
        tab = tab_of(self.service, request)
        if tab.photo is None:
            return ""
        try:
            seconds = self.service.seconds(tab.size, asked_for(*settings))
        except ResharpError as error:
            return views.card("error", self._say(tab, language, error))
        if seconds is None:
            return views.hint(say(language, "measuring"))
        width, height = tab.size
        words = say(language, "expected", seconds=say_seconds(language, seconds), width=width, height=height)
        return f'<p class="rs-expected">{words}</p>'

    def measured(self, request: gr.Request, language: str, *settings: Any) -> str:
        """As `expected`, once the machine is measured."""
        self.service.wait_for_estimator(_PATIENCE_S)
        return self.expected(request, language, *settings)

    def started(self, request: gr.Request, language: str, *settings: Any) -> Iterator[Updates]:
        """Restore the whole photo."""
        tab = tab_of(self.service, request)
        if tab.stop is None:
            tab.forget()

        def work(watcher: Watcher) -> Shown:
            if tab.photo is None:
                raise ImageError(say(language, "error_gone"))
            return restore(self.service, tab, asked_for(*settings), tab.photo, watcher)

        yield from self._run(tab, language, asked_for(*settings), tab.size, work, part=False)

    def tried(self, request: gr.Request, data: gr.EventData, language: str, *settings: Any) -> Iterator[Updates]:
        """Restore the part around a tap."""
        page, tab = self.page, tab_of(self.service, request)
        if tab.stop is not None or tab.photo is None or tab.screen is None:
            return
        x, y = data._data["index"]
        width, height = tab.screen_size
        x, y = x * tab.size[0] / width, y * tab.size[1] / height
        region = region_at(x, y, tab.size, TRY_PX)
        framed = tab.new_path("photo.jpg")
        marked(tab.screen, region, tab.size, framed)
        yield {page.picture: gr.update(value=str(framed))}
        size = (region[2] - region[0], region[3] - region[1])

        def work(watcher: Watcher) -> Shown:
            return restore(self.service, tab, asked_for(*settings), cut_part(tab, region), watcher)

        yield from self._run(tab, language, asked_for(*settings), size, work, part=True)

    def stopped(self, request: gr.Request) -> None:
        """End what runs."""
        tab = tab_of(self.service, request)
        if tab.stop is not None:
            tab.stop.set()

    def another(self, request: gr.Request) -> Updates:
        """Back to the beginning."""
        tab = tab_of(self.service, request)
        tab.photo = tab.screen = tab.shown = None
        tab.forget()
        return views.empty(self.page)

    def reworded(self, request: gr.Request, language: str, *settings: Any) -> Updates:
        """What is on the screen of the photo and its result, in another language."""
        page, tab = self.page, tab_of(self.service, request)
        updates: Updates = {page.expected: self.expected(request, language, *settings)}
        if tab.shown is not None:
            shown, part = tab.shown
            updates[page.remark] = views.result_card(language, shown, part=part)
            updates[page.legend] = views.legend(language, shown.levels)
            updates[page.hint] = views.hint(say(language, "tried"))
        elif tab.photo is not None:
            updates[page.hint] = views.hint(say(language, "try_part"))
        return updates

    def _run(
        self,
        tab: Tab,
        language: str,
        asked: Asked,
        size: tuple[int, int],
        work: Callable[[Watcher], Shown],
        *,
        part: bool,
    ) -> Iterator[Updates]:
        page, service = self.page, self.service
        if tab.stop is not None:
            return
        tab.stop, tab.shown = threading.Event(), None
        versions: list[tuple[str, str]] = []
        try:
            service.check_time(size, asked)
            progress = views.Progress(language, service.seconds(size, asked))
            yield views.busy(page)
            for event in watched(work, service.line, tab.stop, service.limits.timeout_s):
                if isinstance(event, Done):
                    tab.shown = (event.result, part)
                    yield views.results(page, language, event.result, versions, part=part)
                elif isinstance(event, Sample):
                    path = self._preview(tab, event, f"version-{event.number + 1}.jpg")
                    versions.append((str(path), say(language, "version", number=event.number + 1)))
                elif isinstance(event, Preview):
                    if not part:
                        yield {page.picture: gr.update(value=str(self._preview(tab, event, "preview.jpg")))}
                else:
                    yield {page.progress: progress.show(event)}
        except Exception as error:
            words = self._say(tab, language, told(error))
            back = {} if part or tab.screen is None else {page.picture: gr.update(value=str(tab.screen), visible=True)}
            yield views.idle(page) | back | views.show_error(page, words)
        finally:
            tab.stop.set()
            tab.stop = None

    def _preview(self, tab: Tab, event: Preview | Sample, name: str) -> Path:
        path = tab.new_path(name)
        save_preview(event.image, path)
        return path

    def _say(self, tab: Tab, language: str, error: ResharpError) -> str:
        return views.say_error(self.service, tab, language, error)
