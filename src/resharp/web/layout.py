"""The parts of the page, in their places, and their words in a language."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr

from resharp.diffusion.presets import QUALITIES
from resharp.images.formats import FORMAT_BY_SUFFIX
from resharp.web.service import Service
from resharp.web.theme import page_file
from resharp.web.words import DEFAULT, LANGUAGES, say

MOST_SAMPLES, MOST_STEPS = 8, 50
_SENT_WORDS = ("too_large", "too_many", "busy", "cut_short", "sending", "reading")


@dataclass
class Controls:
    """The settings of one of the two tabs."""

    quality: gr.Radio
    fidelity: gr.Slider
    samples: gr.Slider
    steps: gr.Slider
    seed: gr.Number
    force: gr.Checkbox
    strip_gps: gr.Checkbox
    more: gr.Accordion

    @property
    def inputs(self) -> list[Any]:
        """In the order of the fields of `Asked`."""
        return [self.quality, self.fidelity, self.samples, self.steps, self.seed, self.force, self.strip_gps]


@dataclass
class Page:
    """Every part that an event may change."""

    language: gr.Radio
    tagline: gr.HTML
    tab_one: gr.Tab
    drop_place: gr.Column
    drop: gr.HTML
    results: gr.Tabs
    tab_slider: gr.Tab
    slider: gr.ImageSlider
    slider_words: gr.HTML
    tab_versions: gr.Tab
    gallery: gr.Gallery
    tab_trust: gr.Tab
    trust: gr.Image
    legend: gr.HTML
    remark: gr.HTML
    download: gr.DownloadButton
    progress: gr.HTML
    picture: gr.Image
    hint: gr.HTML
    controls: Controls
    expected: gr.HTML
    start: gr.Button
    stop: gr.Button
    another: gr.Button
    tab_several: gr.Tab
    drop_place_many: gr.Column
    drop_many: gr.HTML
    progress_many: gr.HTML
    report_many: gr.HTML
    download_many: gr.DownloadButton
    controls_many: Controls
    expected_many: gr.HTML
    start_many: gr.Button
    stop_many: gr.Button
    another_many: gr.Button


def say_size(size_bytes: int) -> str:
    """50 MB."""
    return f"{size_bytes / 1e6:g} MB" if size_bytes >= 1e6 else f"{size_bytes / 1e3:g} kB"


def build_page(service: Service) -> Page:
    """Make the parts; call it within `gr.Blocks`."""
    with gr.Row(elem_id="rs-head"):
        tagline = gr.HTML(elem_id="rs-title")
        language = gr.Radio(list(LANGUAGES.items()), value=DEFAULT, show_label=False, container=False, min_width=170)
        language.elem_id = "rs-language"
    with gr.Tabs(elem_id="rs-tabs"):
        with gr.Tab(elem_id="rs-one") as tab_one:
            one = _one(service)
        with gr.Tab(elem_id="rs-several") as tab_several:
            several = _several(service)
    return Page(language=language, tagline=tagline, tab_one=tab_one, tab_several=tab_several, **one, **several)


def _one(service: Service) -> dict[str, Any]:
    with gr.Row(elem_classes="rs-columns"):
        with gr.Column(scale=5, min_width=300, elem_classes="rs-stage"):
            with gr.Column() as drop_place:
                drop = _drop(service, several=False)
            with gr.Tabs(visible=False, elem_id="rs-results") as results:
                with gr.Tab(id="slider") as tab_slider:
                    slider = gr.ImageSlider(
                        show_label=False, buttons=["fullscreen"], interactive=False, max_height=520, elem_id="rs-slider"
                    )
                    slider_words = gr.HTML()
                with gr.Tab(id="versions", visible=False) as tab_versions:
                    gallery = gr.Gallery(
                        show_label=False, columns=2, height="auto", buttons=["fullscreen"], elem_id="rs-versions"
                    )
                with gr.Tab(id="trust", visible=False) as tab_trust:
                    trust = gr.Image(show_label=False, interactive=False, buttons=["fullscreen"], elem_id="rs-trust")
                    legend = gr.HTML()
            progress = gr.HTML(visible=False, elem_id="rs-progress")
            picture = gr.Image(show_label=False, interactive=False, visible=False, buttons=[], elem_id="rs-picture")
            hint = gr.HTML(visible=False, elem_id="rs-hint")
            remark = gr.HTML(visible=False, elem_id="rs-remark")
        with gr.Column(scale=3, min_width=300, elem_classes="rs-side"):
            controls = _controls(service)
            download = gr.DownloadButton(variant="primary", size="lg", visible=False, elem_id="rs-download")
            expected = gr.HTML(elem_id="rs-expected")
            start = gr.Button(variant="primary", size="lg", interactive=False, elem_id="rs-start")
            stop = gr.Button(variant="stop", visible=False, elem_id="rs-stop")
            another = gr.Button(visible=False, elem_id="rs-another")
    return {name: part for name, part in locals().items() if name != "service"}


def _several(service: Service) -> dict[str, Any]:
    with gr.Row(elem_classes="rs-columns"):
        with gr.Column(scale=5, min_width=300, elem_classes="rs-stage"):
            with gr.Column() as drop_place_many:
                drop_many = _drop(service, several=True)
            progress_many = gr.HTML(visible=False, elem_id="rs-progress-many")
            report_many = gr.HTML(visible=False, elem_id="rs-report")
        with gr.Column(scale=3, min_width=300, elem_classes="rs-side"):
            controls_many = _controls(service, several=True)
            download_many = gr.DownloadButton(variant="primary", size="lg", visible=False, elem_id="rs-download-many")
            expected_many = gr.HTML(elem_id="rs-expected-many")
            start_many = gr.Button(variant="primary", size="lg", interactive=False, elem_id="rs-start-many")
            stop_many = gr.Button(variant="stop", visible=False, elem_id="rs-stop-many")
            another_many = gr.Button(visible=False, elem_id="rs-another-many")
    return {name: part for name, part in locals().items() if name != "service"}


def _drop(service: Service, *, several: bool) -> gr.HTML:
    return gr.HTML(
        html_template=page_file("drop.html"),
        js_on_load=page_file("drop.js"),
        elem_id="rs-drop-many" if several else "rs-drop",
        **drop_props(service, DEFAULT, several=several),
    )


def _controls(service: Service, *, several: bool = False) -> Controls:
    model = service.pipeline.model
    draws = model.denoiser is not None
    mixes = draws and model.predictor is not None
    quality = gr.Radio(list(QUALITIES), value="standard", elem_classes="rs-quality")
    fidelity = gr.Slider(0, 1, value=1, step=0.05, visible=mixes)
    samples = gr.Slider(1, MOST_SAMPLES, value=1, step=1, visible=draws and not several)
    with gr.Accordion(open=False, elem_classes="rs-more") as more:
        steps = gr.Slider(1, MOST_STEPS, value=service.pipeline.defaults.steps, step=1, visible=draws)
        seed = gr.Number(value=0, precision=0, minimum=0, maximum=2**48 - 1, visible=draws)
        force = gr.Checkbox()
        strip_gps = gr.Checkbox()
    return Controls(quality, fidelity, samples, steps, seed, force, strip_gps, more)


def drop_props(service: Service, language: str, *, several: bool) -> dict[str, Any]:
    """The drop zone's props in a language: all of them, since an update of some would lose the others."""
    suffix = "_several" if several else ""
    limits = service.limits
    size = say_size(limits.max_upload_bytes)
    # The words that the browser fills in go out as they are.
    plain = {name: f"{{{name}}}" for name in ("name", "size", "count", "percent")}
    return {
        "accept": ",".join(["image/*", *FORMAT_BY_SUFFIX]),
        "multiple": "multiple" if several else "",
        "max_bytes": limits.max_upload_bytes,
        "max_files": limits.max_photos if several else 1,
        "size": size,
        "title": say(language, f"drop{suffix}"),
        "hint": say(language, f"drop_hint{suffix}", size=size, count=limits.max_photos),
        "words": {key: say(language, key, **plain) for key in _SENT_WORDS},
    }


def title(service: Service, language: str, *, here: bool) -> str:
    """The head of the page."""
    private = say(language, "private_here" if here else "private_there")
    return f"<h1>resharp</h1><p>{escape(say(language, 'tagline'))} {escape(private)}</p>"


def relabelled(service: Service, page: Page, language: str, *, here: bool) -> dict[Any, Any]:
    """Updates that put every standing word into a language."""

    def words(key: str, **values: object) -> str:
        return say(language, key, **values)

    updates: dict[Any, Any] = {
        page.tagline: gr.update(value=title(service, language, here=here)),
        page.tab_one: gr.update(label=words("one")),
        page.tab_several: gr.update(label=words("several")),
        page.drop: gr.update(**drop_props(service, language, several=False)),
        page.drop_many: gr.update(**drop_props(service, language, several=True)),
        page.tab_slider: gr.update(label=words("before_after")),
        page.slider_words: gr.update(value=f'<p class="rs-quiet">{escape(words("slider_hint"))}</p>'),
        page.tab_versions: gr.update(label=words("versions")),
        page.tab_trust: gr.update(label=words("trust_map")),
    }
    for button, many in (("start", "start"), ("stop", "stop"), ("another", "other_photos")):
        updates[getattr(page, button)] = gr.update(value=words(button))
        updates[getattr(page, f"{button}_many")] = gr.update(value=words(many))
    updates[page.download] = gr.update(label=words("download"))
    updates[page.download_many] = gr.update(label=words("download_zip"))
    for controls in (page.controls, page.controls_many):
        choices = [(words(name), name) for name in QUALITIES]
        updates[controls.quality] = gr.update(label=words("quality"), info=words("quality_info"), choices=choices)
        updates[controls.fidelity] = gr.update(label=words("fidelity"), info=words("fidelity_info"))
        updates[controls.samples] = gr.update(label=words("samples"), info=words("samples_info"))
        updates[controls.more] = gr.update(label=words("more"))
        for name in ("steps", "seed", "force", "strip_gps"):
            updates[getattr(controls, name)] = gr.update(label=words(name))
    return updates
