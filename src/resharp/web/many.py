"""What happens on the tab of several photos."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from resharp.errors import ResharpError
from resharp.images.headers import upright_size
from resharp.web import views
from resharp.web.batch import Batch, restore_batch
from resharp.web.handlers import asked_for, tab_of
from resharp.web.layout import Page
from resharp.web.service import Service
from resharp.web.views import Updates
from resharp.web.words import say, say_seconds
from resharp.web.work import Done, Preview, Sample, Waiting, Watcher, told, watched


class ManyPhotos:
    """Event handlers; each returns or yields updates of the page's parts."""

    def __init__(self, service: Service, page: Page) -> None:
        self.service, self.page = service, page

    def dropped(self, request: gr.Request, data: gr.EventData, language: str, *settings: Any) -> Updates:
        """Photos have come; they are added to those that are here."""
        page, tab = self.page, tab_of(self.service, request)
        problem = ""
        for key in list(data._data["ids"]):
            try:
                path = self.service.visitors.take(tab, str(key))
            except ResharpError as error:
                problem = views.say_error(self.service, tab, language, error)
                continue
            if len(tab.batch) >= self.service.limits.max_photos:
                path.unlink()
                problem = say(language, "too_many", count=self.service.limits.max_photos)
            else:
                tab.batch = (*tab.batch, path)
        listed = views.card("same", say(language, "chosen", count=len(tab.batch)), [path.name for path in tab.batch])
        report = listed + (views.card("error", problem) if problem else "")
        return {
            page.report_many: gr.update(value=report, visible=True),
            page.start_many: gr.update(interactive=bool(tab.batch), variant="primary"),
            page.another_many: gr.update(visible=bool(tab.batch)),
            page.download_many: gr.update(visible=False),
            page.expected_many: self.expected(request, language, *settings),
        }

    def expected(self, request: gr.Request, language: str, *settings: Any) -> str:
        """The seconds that all of them will take."""
        tab = tab_of(self.service, request)
        sizes = [size for path in tab.batch if (size := _size_of(path)) is not None]
        if not tab.batch:
            return ""
        try:
            each = [self.service.seconds(size, asked_for(*settings)) for size in sizes]
        except ResharpError as error:
            return views.card("error", views.say_error(self.service, tab, language, error))
        if None in each:
            return views.hint(say(language, "measuring"))
        seconds = say_seconds(language, sum(value for value in each if value is not None))
        return f'<p class="rs-expected">{say(language, "expected_many", seconds=seconds, count=len(tab.batch))}</p>'

    def started(self, request: gr.Request, language: str, *settings: Any) -> Iterator[Updates]:
        """Restore them all."""
        page, service, tab = self.page, self.service, tab_of(self.service, request)
        if tab.stop is not None or not tab.batch:
            return
        tab.stop = threading.Event()
        count, photos, asked = len(tab.batch), tab.batch, asked_for(*settings)
        at: list[tuple[int, str]] = [(1, photos[0].name)]

        def work(watcher: Watcher) -> Batch:
            return restore_batch(service, tab, asked, photos, watcher, lambda *now: at.append(now))

        started = time.monotonic()
        try:
            yield self._busy()
            for event in watched(work, service.line, tab.stop, service.limits.timeout_s):
                if isinstance(event, Done):
                    yield self._done(language, event.result, time.monotonic() - started)
                elif isinstance(event, Waiting):
                    yield {page.progress_many: views.Progress(language, None).show(event)}
                elif not isinstance(event, (Preview, Sample)):
                    number, name = at[-1]
                    share = (number - 1 + (event.done / event.total if event.total else 0)) / count
                    words = say(language, "batch_working", number=number, count=count, name=name)
                    yield {page.progress_many: views.bar(share, words)}
        except Exception as error:
            words = views.say_error(service, tab, language, told(error))
            yield self._idle() | {page.report_many: gr.update(value=views.card("error", words), visible=True)}
        finally:
            tab.stop.set()
            tab.stop = None

    def another(self, request: gr.Request) -> Updates:
        """Back to the beginning."""
        page, tab = self.page, tab_of(self.service, request)
        tab.batch = ()
        updates: Updates = {part: gr.update(visible=False) for part in (page.report_many, page.another_many)}
        updates[page.download_many] = gr.update(value=None, visible=False)
        updates[page.start_many] = gr.update(interactive=False)
        updates[page.expected_many] = ""
        return updates

    def _busy(self) -> Updates:
        page = self.page
        hidden = (page.report_many, page.another_many, page.download_many, page.drop_place_many)
        updates: Updates = {part: gr.update(visible=False) for part in hidden}
        updates[page.start_many] = gr.update(interactive=False)
        updates[page.stop_many] = gr.update(visible=True)
        updates[page.progress_many] = gr.update(value=views.bar(0, ""), visible=True)
        return updates

    def _idle(self) -> Updates:
        page = self.page
        return {
            page.start_many: gr.update(interactive=True),
            page.stop_many: gr.update(visible=False),
            page.progress_many: gr.update(visible=False),
            page.another_many: gr.update(visible=True),
            page.drop_place_many: gr.update(visible=True),
        }

    def _done(self, language: str, batch: Batch, seconds: float) -> Updates:
        page = self.page
        lasted = say_seconds(language, seconds).lower()
        first = say(language, "done_many", restored=batch.restored, failed=len(batch.failures), seconds=lasted)
        report = views.card("good" if not batch.failures else "doubtful", first)
        if batch.failures:
            lines = "".join(f"<li>{escape(str(error))}</li>" for _, error in batch.failures)
            report += f'<div class="rs-failures"><p>{escape(say(language, "failed_list"))}</p><ul>{lines}</ul></div>'
        updates = self._idle()
        updates[page.report_many] = gr.update(value=report, visible=True)
        if batch.archive is not None:
            updates[page.download_many] = gr.update(value=str(batch.archive), visible=True)
            updates[page.start_many] = gr.update(interactive=True, variant="secondary")
        return updates


def _size_of(path: Path) -> tuple[int, int] | None:
    try:
        return upright_size(path)
    except ResharpError:
        return None
