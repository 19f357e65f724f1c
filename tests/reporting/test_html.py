import base64
import os
import re
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import pytest
import torch
from PIL import Image

from leadline.data.synthetic.dataset import SyntheticDataset
from leadline.evaluation.breakdown import Breakdown, Groups, by_scene
from leadline.evaluation.metrics import error_sums, metrics_from_sums, named
from leadline.reporting.figures import ScoredPicture
from leadline.reporting.html import Page, ScoredModel, write_html

VOID = {"meta", "img", "br"}
HOSTILE = "<script>alert('x')</script> \" & ' </title>"


class Outline(HTMLParser):
    """The tags of a page; complains if one is not closed where it should be."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data.strip())

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]

    def words(self) -> str:
        return " ".join(filter(None, self.texts))


ROOMS = SyntheticDataset(4, 1, 24, 32)


def model(name: str, off: float, with_uncertainty: bool = False) -> ScoredModel:
    """One that sees every depth of four rooms `off` too far, with everything that a page can show."""
    breakdown, sums = Breakdown(), []
    for index in range(4):
        sample = ROOMS[index]
        maps = (sample.depth_m[None] * (1 + off), sample.depth_m[None], sample.valid[None])
        breakdown.update(*maps, torch.tensor([index]), sample.depth_m[None] if with_uncertainty else None)
        sums.append(error_sums(*maps))
    rows = torch.cat(sums)
    metrics = metrics_from_sums(rows)
    return ScoredModel(
        name=name,
        per_image=named(metrics.mean(0)),
        pooled=named(metrics_from_sums(rows.sum(0))),
        abs_rel=metrics[:, 3].tolist(),
        groups={**breakdown.results(), "scene": by_scene(rows, ["bath_1", "bath_2", "kitchen_1", "hall_1"])},
        boundaries=(0.25, 0.5, 1 / 3),
    )


def bare(name: str, off: float, **changes: object) -> ScoredModel:
    """The same with the numbers of its pictures alone, so that there is little to draw."""
    return replace(model(name, off), **{"groups": {}, "boundaries": None, **changes})  # type: ignore[arg-type]


def picture(title: str) -> ScoredPicture:
    sample = ROOMS[0]
    return ScoredPicture(title, sample.image, sample.depth_m, sample.valid, sample.depth_m * 1.1)


def page(*models: ScoredModel, **changes: object) -> Page:
    fields: dict[str, object] = {
        "title": "Rooms",
        "facts": [("data", "rooms"), ("pictures", "4")],
        "rules": ["Every pixel is scored."],
        "averaging": "pooled",
        "models": models or [model("one", 0.1)],
        "pictures": {"Best": [picture("0001: abs_rel 0.100")], "Worst": [picture("0002"), picture("0003")]},
    }
    return Page(**{**fields, **changes})  # type: ignore[arg-type]


def written(tmp_path: Path, content: Page) -> Outline:
    path = tmp_path / "new" / "report.html"
    write_html(path, content)
    assert os.listdir(path.parent) == ["report.html"]
    return Outline(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A page of one model with everything, written once."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_html(path, page(model("one", 0.1, with_uncertainty=True)))
    return path.read_text(encoding="utf-8")


def test_a_page_is_one_file_that_loads_nothing_and_runs_nothing(whole: str) -> None:
    outline = Outline(whole)
    assert not {"script", "link", "iframe", "object", "form"} & {tag for tag, _ in outline.tags}
    for _, attributes in outline.tags:
        assert not {"href", "srcset", "action"} & set(attributes)
        assert not any(name.startswith("on") for name in attributes)
    for image in outline.all("img"):
        assert (image["src"] or "").startswith(("data:image/png;base64,", "data:image/jpeg;base64,"))
    assert "http:" not in whole and "https:" not in whole and "url(" not in whole and "@import" not in whole
    policy = outline.all("meta")[1]
    assert policy["http-equiv"] == "Content-Security-Policy" and "default-src 'none'" in (policy["content"] or "")


def test_every_picture_can_be_decoded_and_says_what_it_shows(whole: str) -> None:
    images = Outline(whole).all("img")
    # Two plots by distance, one by each of edges, uncertainty, region and kind of place, the histogram; four panels
    # for each of three pictures.
    assert len(images) == 7 + 3 * 4
    for image in images:
        kind, data = (image["src"] or "").removeprefix("data:image/").split(";base64,")
        with Image.open(BytesIO(base64.b64decode(data, validate=True))) as decoded:
            decoded.load()
            assert decoded.format == kind.upper()
    alts = [image["alt"] or "" for image in images]
    assert alts[0] == "Relative error by true distance: abs_rel by true distance in metres, for one."
    assert "truth of 0001: abs_rel 0.100" in alts and "relative error |y−ŷ|/y of 0003" in alts
    assert len(set(alts)) == len(alts) and all(alts)


def test_text_of_users_is_shown_and_never_obeyed(tmp_path: Path) -> None:
    outline = written(
        tmp_path,
        page(
            model(HOSTILE, 0.1),
            model("other", 0.2),
            title=HOSTILE,
            facts=[(HOSTILE, HOSTILE)],
            rules=[HOSTILE],
            pictures={HOSTILE: [picture(HOSTILE)]},
        ),
    )
    assert not outline.all("script")
    # Title twice, fact twice, rule, the names of both tables, five tables of groups, heading and caption.
    assert outline.words().count(HOSTILE) == 2 + 2 + 1 + 2 + 4 + 2
    assert any(image["alt"] == f"truth of {HOSTILE}" for image in outline.all("img"))


def test_kinds_of_place_are_escaped_too(tmp_path: Path) -> None:
    groups = Groups("scene", "kind of place (pictures)", ("<i>a</i> (1)", "b (1)"), torch.ones(2, 10).double())
    outline = written(tmp_path, page(bare("one", 0.1, groups={"scene": groups}), pictures={}))
    assert "<i>a</i> (1)" in outline.texts and not outline.all("i")


def test_the_numbers_carry_both_averagings_their_direction_and_the_mark_of_the_protocol(whole: str) -> None:
    words = Outline(whole).words()
    assert "δ1 ↑ δ2 ↑ δ3 ↑ abs_rel ↓ sq_rel ↓ rms ↓ rms_log ↓ log10 ↓ silog ↓" in words
    assert re.search(
        r"one per image 1\.0000 1\.0000 1\.0000 0\.1000 .* pooled \* 1\.0000 1\.0000 1\.0000 0\.1000", words
    )
    # The edges of things; log10 1.1 is 0.0414.
    assert "one 0.2500 0.5000 0.3333" in words and "0.0414" in words
    assert "<strong>" not in whole


def test_of_several_models_the_better_numbers_are_bold(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write_html(path, page(bare("near", 0.1), bare("far", 0.3), pictures={}))
    text = path.read_text(encoding="utf-8")
    assert text.count("<td><strong>0.1000</strong></td>") == 2 and "<strong>0.3000</strong>" not in text
    assert "<td><strong>1.0000</strong></td>" in text


def test_the_tables_below_the_plots_have_shares_and_metrics_of_each_group(whole: str) -> None:
    words = Outline(whole).words()
    assert "bath (2) 50.0 % 1.0000 0.1000" in words and "hall (1) 25.0 % 1.0000 0.1000" in words
    assert "edges (≤3 px)" in words and "bottom right" in words and "least sure" in words
    assert ">10 0.0 % – – – –" in words


def test_what_is_not_known_is_left_out(tmp_path: Path) -> None:
    outline = written(tmp_path, page(bare("one", 0.1), pictures={}))
    assert len(outline.all("img")) == 1  # the histogram
    assert "Pictures" not in outline.texts and "Edges of things" not in outline.texts


def test_a_single_kind_of_place_is_not_drawn(tmp_path: Path) -> None:
    groups = {"scene": by_scene(torch.ones(4, 10).double(), ["room_0000"] * 4)}
    outline = written(tmp_path, page(bare("one", 0.1, groups=groups), pictures={}))
    assert "By kind of place" not in outline.texts


def test_a_model_without_scores_has_dashes(tmp_path: Path) -> None:
    nothing = named(metrics_from_sums(torch.zeros(10).double()))
    failed = ScoredModel(name="failed", per_image=nothing, pooled=nothing, abs_rel=[float("nan")])
    words = written(tmp_path, page(failed, bare("one", 0.1), pictures={})).words()
    assert "failed per image – – – – – – – – –" in words


def test_the_same_results_give_the_same_file(tmp_path: Path, whole: str) -> None:
    write_html(tmp_path / "again.html", page(model("one", 0.1, with_uncertainty=True)))
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == whole


def test_headings_and_scales_lead_through_the_page(whole: str) -> None:
    outline = Outline(whole)
    assert outline.all("html") == [{"lang": "en"}]
    assert [len(outline.all(tag)) for tag in ("h1", "h2", "h4")] == [1, 3, 3]
    for heading in ("Rooms", "Numbers", "Where it fails", "Pictures", "Best", "Worst", "0002"):
        assert heading in outline.texts
    assert "How predictions are scored Every pixel is scored." in outline.words()
    assert "≥ 0.5" in outline.texts and "picture" in outline.texts and "prediction" in outline.texts


@pytest.mark.parametrize("names", [[], ["same", "same"]])
def test_models_of_a_page_must_have_names_of_their_own(names: list[str]) -> None:
    with pytest.raises(ValueError, match="a page needs models of distinct names"):
        page(models=[bare(name, 0.1) for name in names])
