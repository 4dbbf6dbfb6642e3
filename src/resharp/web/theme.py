"""How the page looks: system fonts, quiet colours, nothing fetched from anywhere."""

from __future__ import annotations

from importlib.resources import files

import gradio as gr

_ACCENT = gr.themes.Color(
    name="resharp",
    c50="#eef6f6",
    c100="#d5e9e9",
    c200="#aed4d4",
    c300="#7db8b9",
    c400="#4a9698",
    c500="#1f7a7d",
    c600="#146468",
    c700="#115256",
    c800="#0f4347",
    c900="#0b3437",
    c950="#062225",
)


def make_theme() -> gr.themes.Base:
    """Gradio's plain theme in one accent; style.css does the rest."""
    theme = gr.themes.Base(
        primary_hue=_ACCENT,
        secondary_hue=_ACCENT,
        neutral_hue=gr.themes.colors.stone,
        font=["sans-serif"],
        font_mono=["monospace"],
        radius_size=gr.themes.sizes.radius_md,
    )
    return theme.set(
        body_background_fill="#faf9f7",
        body_background_fill_dark="#16181a",
        background_fill_primary_dark="#1d2023",
        background_fill_secondary_dark="#16181a",
        block_background_fill_dark="#1d2023",
        border_color_primary_dark="#34393d",
        block_border_width="0px",
        block_shadow="none",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_dark="*primary_500",
        button_primary_background_fill_hover_dark="*primary_400",
        button_primary_text_color="white",
        slider_color="*primary_600",
        slider_color_dark="*primary_400",
    )


def page_file(name: str) -> str:
    """The text of a file of the page."""
    return files("resharp.web").joinpath("page", name).read_text(encoding="utf-8")
