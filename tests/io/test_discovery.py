import os
from pathlib import Path

import pytest
from PIL import Image

from leadline.errors import LeadlineError
from leadline.io.depth_files import save_png
from leadline.io.discovery import IMAGE_SUFFIXES, VIDEO_SUFFIXES, find_images
from leadline.io.provenance import COMMENT


def touched(folder: Path, *names: str) -> list[Path]:
    paths = [folder / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return paths


def test_a_folder_is_searched_to_the_bottom_in_natural_order(tmp_path):
    wanted = touched(tmp_path, "a2.jpg", "a10.PNG", "b/1.tiff", "b/c/1.webp", "b10/1.jpg")
    touched(tmp_path, "notes.txt", ".hidden.jpg", ".cache/1.jpg", "clip.mp4", "jpg")
    assert find_images([tmp_path]) == wanted


def test_a_data_set_s_depth_maps_are_no_pictures(tmp_path):
    wanted = touched(tmp_path, "set/rgb/1.jpg")
    touched(tmp_path, "set/index.csv", "set/depth/1.png")
    assert find_images([tmp_path]) == wanted


def test_every_suffix_is_found(tmp_path):
    assert len(find_images([touched(tmp_path, *(f"a{suffix}" for suffix in IMAGE_SUFFIXES))[0].parent])) == len(
        IMAGE_SUFFIXES
    )


def test_its_own_results_are_left_out_unless_named(tmp_path):
    picture, depth, color = touched(tmp_path, "a.jpg", "a_depth.png", "a_color.png")
    assert find_images([tmp_path]) == [picture]
    assert find_images([f"{tmp_path}/*.*"]) == [picture]
    assert find_images([tmp_path, color, depth]) == [picture, color, depth]


@pytest.mark.parametrize("ending", ["color", "uncertainty", "normals", "floor", "floor_height"])
def test_a_picture_of_a_results_name_is_left_out_only_if_it_is_one(tmp_path: Path, ending: str) -> None:
    own, others = tmp_path / f"a_{ending}.png", tmp_path / f"kitchen_{ending}.png"
    save_png(own, Image.new("L", (4, 4)))
    Image.new("L", (4, 4)).save(others)
    for given in (tmp_path, f"{tmp_path}/*.png"):
        assert find_images([given]) == [others]


def test_a_video_of_a_results_name_is_left_out_only_if_it_is_one(tmp_path: Path) -> None:
    (tmp_path / "a_side.mp4").write_text(COMMENT)
    (tmp_path / "robot_side.mp4").write_text("a camera that looks to the side")
    assert find_images([tmp_path], VIDEO_SUFFIXES) == [tmp_path / "robot_side.mp4"]


def test_linked_folders_are_searched_once(tmp_path: Path) -> None:
    here, far = touched(tmp_path, "set/a.jpg", "disk/scene/1.jpg")
    for name, target in {"b": far.parent, "c": far.parent, "loop": here.parent, "up": tmp_path}.items():
        (here.parent / name).symlink_to(target, target_is_directory=True)
    found = find_images([here.parent])
    assert found[0] == here and [path.resolve() for path in found[1:]] == [far]
    assert found[1].parent.parent == here.parent  # of the link's name, by which its results are called


@pytest.mark.parametrize("names", ["ab", "ba"])
def test_a_link_to_what_another_link_leads_below_loses_nothing(tmp_path: Path, names: str) -> None:
    here, high, deep = touched(tmp_path, "set/a.jpg", "disk/1.jpg", "disk/scene/2.jpg")
    for name, target in zip(names, (high.parent, deep.parent), strict=True):
        (here.parent / name).symlink_to(target, target_is_directory=True)
    assert {path.resolve() for path in find_images([here.parent])} == {here, high, deep}
    assert len(find_images([here.parent])) == 3


def test_a_captures_maps_are_passed_over_unless_named(tmp_path, caplog):
    photo, second = touched(tmp_path, "scan/keyframes/images/1.jpg", "frame_00001.jpg")
    depth, sure = touched(tmp_path, "scan/keyframes/depth/1.png", "scan/keyframes/confidence/1.png")
    touched(tmp_path, "depth_00001.png", "conf_00001.png")
    in_depth_of, _ = touched(tmp_path, "depth of field.jpg", "depth/1_depth.png")  # the latter our own
    assert find_images([tmp_path]) == [in_depth_of, second, photo]
    assert f"{tmp_path}: passed over 4 maps of depth or confidence, such as " in caplog.text
    assert find_images([depth.parent, sure]) == [depth, sure]
    photo.unlink()
    with pytest.raises(LeadlineError, match="no pictures in .* but 2 maps of depth or confidence"):
        find_images([tmp_path / "scan"])


def test_a_named_file_needs_no_known_ending(tmp_path):
    (path,) = touched(tmp_path, "picture")
    assert find_images([path, str(path)]) == [path]


def test_patterns_match_files_and_folders(tmp_path):
    one, two, deep = touched(tmp_path, "a1.jpg", "a2.jpg", "day1/b.jpg")
    touched(tmp_path, "a3.txt", "night/c.jpg", ".a4.jpg")
    assert find_images([f"{tmp_path}/a*"]) == [one, two]
    assert find_images([f"{tmp_path}/a[2]*"]) == [two]
    assert find_images([tmp_path / "day?"]) == [deep]
    assert find_images([f"{tmp_path}/**/b.jpg"]) == [deep]


def test_a_file_whose_name_looks_like_a_pattern_is_a_file(tmp_path):
    (path,) = touched(tmp_path, "a[1].jpg")
    assert find_images([path]) == [path]


def test_the_order_of_the_arguments_is_kept_and_nothing_comes_twice(tmp_path):
    one, two, three = touched(tmp_path, "1.jpg", "2.jpg", "3.jpg")
    assert find_images([three, tmp_path, one]) == [three, one, two]


@pytest.mark.parametrize(
    ("given", "pattern"),
    [
        ("missing.jpg", r"missing\.jpg does not exist: check the path"),
        ("empty", r"no pictures in .*empty: wanted \.jpg, .*\.pgm"),
        ("*.heic", r"no pictures in .*\*\.heic: wanted \.jpg"),
        (
            "done",
            r"no pictures in .*done but 3 named \*_depth\.png or \*_color\.png or .*, .*name such a file itself",
        ),
    ],
)
def test_finding_nothing_is_an_error(tmp_path, given, pattern):
    (tmp_path / "empty").mkdir()
    touched(tmp_path, "done/a_depth.png", "done/a_color.png", "done/a_uncertainty.png", "some.jpg")
    with pytest.raises(LeadlineError, match=pattern):
        find_images([tmp_path / "some.jpg", tmp_path / given])


def test_naming_nothing_is_an_error():
    with pytest.raises(LeadlineError, match="no pictures given: name files"):
        find_images([])


def test_a_folder_that_may_not_be_listed_is_an_error(tmp_path, monkeypatch):
    def refuse(folder: object) -> None:
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(LeadlineError, match=r"may not be looked into \(Permission denied\): change its permissions"):
        find_images([tmp_path])


def test_videos_are_found_where_they_are_asked_for(tmp_path: Path) -> None:
    picture, clip, *_ = touched(tmp_path, "a.jpg", "b.MKV", "b_side.mp4", "b_depth.mkv", "contact_sheet.png")
    assert find_images([tmp_path], IMAGE_SUFFIXES + VIDEO_SUFFIXES) == [picture, clip]
    assert find_images([f"{tmp_path}/*.MKV"], VIDEO_SUFFIXES) == [clip]


def test_a_file_spelled_in_two_ways_comes_once(tmp_path: Path) -> None:
    (picture,) = touched(tmp_path, "a.jpg")
    (tmp_path / "x").mkdir()
    assert find_images([picture, tmp_path / "x" / ".." / "a.jpg", tmp_path]) == [picture]


def test_a_folder_named_like_an_image_and_a_dead_link_are_items_of_their_own(tmp_path):
    (tmp_path / "b.jpg").mkdir()
    (tmp_path / "c.jpg").symlink_to("nowhere.jpg")
    wanted = [*touched(tmp_path, "a.jpg"), tmp_path / "b.jpg", tmp_path / "c.jpg"]
    assert find_images(wanted) == wanted  # as a shell's pattern names them; each is told when it is read
    (inner,) = touched(tmp_path, "b.jpg/1.png")
    assert find_images([tmp_path / "b.jpg"]) == [inner]
