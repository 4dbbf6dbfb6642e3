"""Pieces of HTML and sets of updates that the events show."""

from __future__ import annotations

from html import escape
from typing import Any

import gradio as gr

from resharp.errors import ResharpError
from resharp.web.jobs import Shown
from resharp.web.layout import Page
from resharp.web.line import BusyError
from resharp.web.remarks import facts, level, remark
from resharp.web.service import Service
from resharp.web.visitors import Tab
from resharp.web.words import say, say_seconds
from resharp.web.work import StoppedError, TimeOutError, UnexpectedError, Waiting, Working, shown_name

Updates = dict[Any, Any]
_MOST_GUESSED = 0.96


def bar(share: float, words: str) -> str:
    """A progress bar with a line under it."""
    percent = round(100 * min(1.0, max(0.0, share)))
    return (
        f'<div class="rs-bar" role="progressbar" aria-valuemin="0" aria-valuemax="100" aria-valuenow="{percent}">'
        f'<i style="width:{percent}%"></i></div><p class="rs-bar-words" role="status">{escape(words)}</p>'
    )


class Progress:
    """The bar of a job: by network calls where there are several, else by the clock; it never goes back.

    Args:
        expected_s: of the whole job; None where the machine is not measured.
    """

    def __init__(self, language: str, expected_s: float | None) -> None:
        self._language, self._expected_s = language, expected_s
        self._share = 0.0

    def show(self, event: Waiting | Working) -> str:
        """The bar now."""
        if isinstance(event, Waiting):
            return bar(0, say(self._language, "waiting", before=event.before))
        left, words = None, say(self._language, "working_first")
        if event.done and event.total > 1:
            self._share = max(self._share, event.done / event.total)
            left = event.seconds / event.done * (event.total - event.done)
            words = say(self._language, "working", done=event.done, total=event.total)
        elif self._expected_s:
            self._share = max(self._share, min(_MOST_GUESSED, event.seconds / self._expected_s))
            left = self._expected_s - event.seconds
        if left is not None and left >= 1:
            words += " · " + say(self._language, "left", seconds=say_seconds(self._language, left))
        return bar(self._share, words)


def card(kind: str, first: str, more: list[str] | None = None) -> str:
    """A box with a sentence and smaller ones under it; kind is good, doubtful, poor, same or error."""
    small = "".join(f"<li>{escape(line)}</li>" for line in more or [])
    if kind != "error":  # which may begin with a file's name
        first = first[:1].upper() + first[1:]
    return f'<div class="rs-card rs-{kind}" role="status"><p>{escape(first)}</p><ul>{small}</ul></div>'


def say_error(service: Service, tab: Tab | None, language: str, error: ResharpError) -> str:
    """One line for the visitor."""
    if isinstance(error, StoppedError):
        return say(language, "error_stopped")
    if isinstance(error, TimeOutError):
        return say(language, "error_time", seconds=say_seconds(language, service.limits.timeout_s).lower())
    if isinstance(error, BusyError):
        return say(language, "busy")
    if isinstance(error, UnexpectedError):
        return say(language, "error_unexpected")
    known = [] if tab is None or tab.photo is None else [tab.photo]
    text = shown_name(str(error), *known)
    root = str(service.visitors.root)
    # A path that is left is one of the server's.
    if root in text:
        text = " ".join(word.rsplit("/", 1)[-1] if root in word else word for word in text.split())
    return say(language, "error_other", detail=text)


def show_error(page: Page, words: str) -> Updates:
    """The line in place of a result."""
    return {page.remark: gr.update(value=card("error", words), visible=True)}


def empty(page: Page) -> Updates:
    """The page as it is opened."""
    hidden = (page.results, page.progress, page.hint, page.remark, page.stop, page.another)
    updates: Updates = {part: gr.update(visible=False) for part in hidden}
    updates[page.drop_place] = gr.update(visible=True)
    updates[page.picture] = gr.update(value=None, visible=False)
    updates[page.slider] = gr.update(value=None)
    updates[page.download] = gr.update(value=None, visible=False)
    updates[page.start] = gr.update(interactive=False, visible=True)
    updates[page.expected] = ""
    return updates


def busy(page: Page) -> Updates:
    """While a job runs."""
    updates: Updates = {part: gr.update(visible=False) for part in (page.results, page.hint, page.remark, page.another)}
    updates[page.start] = gr.update(interactive=False)
    updates[page.stop] = gr.update(visible=True)
    updates[page.download] = gr.update(visible=False)
    updates[page.progress] = gr.update(value=bar(0, ""), visible=True)
    return updates


def idle(page: Page) -> Updates:
    """After a job, however it ended."""
    return {
        page.start: gr.update(interactive=True),
        page.stop: gr.update(visible=False),
        page.progress: gr.update(visible=False),
        page.another: gr.update(visible=True),
    }


def results(page: Page, language: str, shown: Shown, versions: list[tuple[str, str]], *, part: bool) -> Updates:
    """A result, or that of a part."""
    several = len(versions) > 1 and shown.spread is not None
    result = shown.result
    updates = idle(page)
    updates[page.results] = gr.update(visible=True, selected="slider")
    updates[page.slider] = gr.update(value=(str(shown.before), str(shown.after)))
    updates[page.tab_versions] = gr.update(visible=several)
    updates[page.gallery] = gr.update(value=versions if several else None)
    updates[page.tab_trust] = gr.update(visible=several)
    updates[page.trust] = gr.update(value=str(shown.spread) if several else None)
    updates[page.legend] = legend(language, shown.levels)
    updates[page.remark] = gr.update(value=result_card(language, shown, part=part), visible=True)
    if not part:
        updates[page.picture] = gr.update(visible=False)
        updates[page.download] = gr.update(value=result.output, visible=True)
        updates[page.start] = gr.update(interactive=True, variant="secondary")
    updates[page.hint] = gr.update(value=hint(say(language, "tried")), visible=part)
    return updates


def legend(language: str, levels: float) -> str:
    """Under the trust map."""
    return hint(say(language, "trust_legend", levels=round(levels)))


def hint(words: str) -> str:
    """A quiet line."""
    return f'<p class="rs-quiet">{escape(words)}</p>'


def result_card(language: str, shown: Shown, *, part: bool) -> str:
    """What is to be said of a result."""
    result = shown.result
    more = facts(language, result)
    if not part and shown.size != (result.width, result.height):
        width, height = shown.size
        sizes = {"width": width, "height": height, "all_width": result.width, "all_height": result.height}
        more.append(say(language, "shown_smaller", **sizes))
    done = say(language, "done", seconds=say_seconds(language, result.seconds or 0).lower())
    said = remark(language, result)
    return card(level(result), said or done, [done, *more] if said else more)
