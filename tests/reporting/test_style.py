import re

from leadline.reporting.plots import colour_stops
from leadline.reporting.style import style_sheet


def test_the_sheet_has_the_colours_of_depth_and_error_and_loads_nothing() -> None:
    sheet = style_sheet()
    assert f".bar.depth {{ background: linear-gradient(to right, {', '.join(colour_stops())}); }}" in sheet
    assert f".bar.error {{ background: linear-gradient(to right, {', '.join(colour_stops('viridis'))}); }}" in sheet
    assert "url(" not in sheet and "@import" not in sheet and "<" not in sheet
    assert sheet.count("{") == sheet.count("}")
    assert re.search(r"@media \(max-width: \d+rem\)", sheet)
