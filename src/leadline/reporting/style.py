"""How a report page looks: one style sheet, for wide screens, narrow ones and paper."""

from leadline.prediction import COLOR_MAP
from leadline.reporting.figures import ERROR_COLOURS
from leadline.reporting.plots import colour_stops

_SHEET = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0; background: #f4f5f7; color: #1c2128; font: 16px/1.5 system-ui, "DejaVu Sans", sans-serif; }
main { max-width: 80rem; margin: 0 auto; padding: 1rem clamp(0.75rem, 3vw, 2rem) 3rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0.5rem 0 1rem; overflow-wrap: anywhere; }
h2 { font-size: 1.3rem; margin: 2.2rem 0 0.6rem; border-bottom: 2px solid #c9d1d9; }
h3 { font-size: 1.08rem; margin: 1.4rem 0 0.5rem; }
h4 { font-size: 0.95rem; font-weight: 600; margin: 0 0 0.4rem; overflow-wrap: anywhere; }
details { margin: 0.8rem 0; }
summary { cursor: pointer; color: #0b5394; font-weight: 600; }
summary:focus-visible, .scroll:focus-visible { outline: 2px solid #0b5394; outline-offset: 2px; }
ul { margin: 0.4rem 0; padding-left: 1.3rem; }
.note { color: #4a5360; font-size: 0.9rem; margin: 0.4rem 0; max-width: 60rem; }
.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 17rem), 1fr)); gap: 0.5rem 1.5rem; }
.facts, .facts dd { margin: 0; }
.facts dt { color: #4a5360; font-size: 0.82rem; }
.facts dd { overflow-wrap: anywhere; }
.scroll { overflow-x: auto; background: #fff; border: 1px solid #d5dae0; border-radius: 6px; }
table { border-collapse: collapse; width: 100%; font-size: 0.87rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.3rem 0.6rem; text-align: right; white-space: nowrap; }
tbody th, th:first-child { text-align: left; }
tbody th { vertical-align: top; font-weight: 600; white-space: normal; overflow-wrap: anywhere; min-width: 7rem; }
thead th, .model { background: #eef1f4; }
tbody tr + tr { border-top: 1px solid #e6e9ed; }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 31rem), 1fr)); gap: 1rem; }
figure { margin: 0; min-width: 0; }
img { display: block; width: 100%; height: auto; }
.plots figure, .picture { background: #fff; border: 1px solid #d5dae0; border-radius: 6px; padding: 0.7rem; }
.plots figure { align-self: start; display: flex; flex-direction: column; }
.plots figcaption { order: -1; font-weight: 600; padding-bottom: 0.4rem; }
.plots details { margin: 0.4rem 0 0; }
.picture { margin: 0 0 0.8rem; }
.panels { display: grid; grid-template-columns: repeat(4, 1fr); gap: 0.6rem 1rem; }
.panels figcaption { font-size: 0.82rem; color: #4a5360; padding-top: 0.25rem; }
.scale { display: flex; align-items: center; gap: 0.4rem; white-space: nowrap; }
.bar { flex: 1; height: 0.6rem; border: 1px solid #8b949e; }
@media (max-width: 44rem) { .panels { grid-template-columns: repeat(2, 1fr); } }
@media print { body { background: #fff; } .picture, .plots figure { break-inside: avoid; } }
"""


def style_sheet() -> str:
    """The sheet, with the colour bars of depth (`.bar.depth`) and relative error (`.bar.error`)."""
    bars = {"depth": COLOR_MAP, "error": ERROR_COLOURS}
    gradients = (
        f".bar.{name} {{ background: linear-gradient(to right, {', '.join(colour_stops(colours))}); }}\n"
        for name, colours in bars.items()
    )
    return _SHEET + "".join(gradients)
