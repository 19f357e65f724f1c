"""How the page looks and reads: colours that can be told apart, names for who does not see it, a link's preview."""

import re
from collections.abc import Awaitable, Callable, MutableMapping
from html import escape
from typing import Any

TITLE = "leadline: metric depth from a single image"
DESCRIPTION = "How far is what a photo shows, in metres? Depth to see, to measure in and to download."

CSS = """
#problem { padding: 0.6rem 0.9rem !important; border-left: 4px solid var(--primary-700); }
#problem { background: var(--primary-50); }
.dark #problem { background: var(--primary-950); }
#problem:not(:has(p)) { display: none; }
footer .divider:last-child { display: none; }
@media (max-width: 640px) {
  #photo, #photo .image-container { height: 220px !important; min-height: 0 !important; }
  #depth:has(img), #error:has(img), :is(#depth, #error):has(img) .image-container { height: auto !important; }
  :is(#depth, #error, #files):not(:has(img, a)), #surface { height: 300px !important; min-height: 0 !important; }
}
"""
"""On a phone the depth is seen below the photo without scrolling, and maps take no more room than they need."""

SCRIPT = """() => {
  document.documentElement.lang = "en";
  const label = (part) => part.closest(".block")?.querySelector("label")?.innerText.trim();
  const file = (image) => decodeURIComponent(image.src.split("/").pop()).replace(/[.][^.]*$/, "").replaceAll("_", " ");
  const more = {
    photo: (image) => ": " + file(image),
    depth: () => " in colours: " + document.querySelector("#words p")?.innerText,
    error: () => " in colours",
  };
  const set = (part, name, value) => part.getAttribute(name) !== value && part.setAttribute(name, value);
  let told;
  const mend = () => {
    for (const image of document.querySelectorAll(".gradio-container img")) {
      const about = more[image.closest("#photo, #depth, #error")?.id];
      set(image, "alt", about ? label(image) + about(image) : "Example photo: " + file(image));
    }
    for (const part of document.querySelectorAll(".empty[aria-label]")) set(part, "role", "img");
    for (const head of document.querySelectorAll(".toast-header")) set(head, "role", "group");
    for (const button of document.querySelectorAll("button.upload-container")) button.removeAttribute("aria-label");
    for (const canvas of document.querySelectorAll("canvas")) {
      set(canvas, "tabindex", "0");
      set(canvas, "role", "img");
      set(canvas, "aria-label", label(canvas) ?? "Surface");
    }
    const problem = document.querySelector("#problem [role=alert]");
    if (problem && problem.dataset.at !== told) problem.scrollIntoView({ block: "nearest" });
    told = problem?.dataset.at;
  };
  new MutationObserver(mend).observe(document.body, { attributes: true, childList: true, subtree: true });
  mend();
}"""
"""What gradio leaves out for those who do not see its page: words for images, roles, the order of Tab's stops.

What went wrong is brought into sight.
"""

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
_FOREIGN = re.compile(rb'\s*<meta\s+(?:property|name)="(?:og|twitter):[^>]*>')


def theme() -> Any:
    """Gradio's own theme in the colours of the page without a server, dark enough to be read."""
    import gradio

    return gradio.themes.Default(
        primary_hue="fuchsia",
        font=["system-ui", "sans-serif"],  # other fonts would be fetched
        font_mono=["monospace"],
    ).set(
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover_dark="*primary_800",
        checkbox_background_color_selected="*primary_700",
        checkbox_background_color_selected_dark="*primary_700",
        checkbox_border_color_selected="*primary_700",
        checkbox_border_color_selected_dark="*primary_700",
        body_text_color_subdued="*neutral_600",
        link_text_color_dark="*secondary_400",
        input_placeholder_color="*neutral_500",
        input_placeholder_color_dark="*neutral_400",
    )


class LinkPreview:
    """An ASGI middleware that gives gradio's page a title and a preview of its own: gradio's name themselves."""

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        """Stand before an application."""
        self._app = app

    async def __call__(self, scope: Message, receive: Any, send: Send) -> None:
        """Pass a request on, and the page back with another head."""
        if scope["type"] != "http" or scope["path"] != "/" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        start: Message = {}
        body = b""

        async def rewritten(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start":
                start = message
                return
            body += message.get("body", b"")
            if not message.get("more_body", False):
                page = with_preview(body)
                kept = [(name, value) for name, value in start["headers"] if name.lower() != b"content-length"]
                await send({**start, "headers": [*kept, (b"content-length", b"%d" % len(page))]})
                await send({"type": "http.response.body", "body": page})

        await self._app(scope, receive, rewritten)


def with_preview(page: bytes) -> bytes:
    """A page of HTML whose title, and what a link to it shows elsewhere, say leadline."""
    title, told = escape(TITLE), escape(DESCRIPTION)
    own = (
        f'<head><meta charset="utf-8"><title>{title}</title><meta name="description" content="{told}">'
        f'<meta property="og:type" content="website"><meta property="og:site_name" content="leadline">'
        f'<meta property="og:title" content="{title}"><meta property="og:description" content="{told}">'
        '<meta name="twitter:card" content="summary">'
    )
    return _FOREIGN.sub(b"", page).replace(b"<head>", own.encode(), 1)
