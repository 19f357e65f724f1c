from pathlib import Path

import pytest

from leadline.errors import LeadlineError
from leadline.prediction.known_distances import known_lengths, read_distances


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "points.csv"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("header", ["", "x,y,metres\n", "# the kitchen\n\n", "\ufeffx, y, metres\r\n"])
def test_lines_of_one_picture(tmp_path: Path, header: str) -> None:
    found = read_distances(written(tmp_path, f"{header}320,240,2.5\n\n10.5, 20, 1\n"), Path("a.jpg"))
    assert found == [(Path("a.jpg"), (320, 240), 2.5, False, None), (Path("a.jpg"), (10.5, 20), 1, False, None)]


@pytest.mark.parametrize("header", ["", "picture,x,y,metres\n"])
def test_lines_that_name_their_picture(tmp_path: Path, header: str) -> None:
    (found,) = read_distances(written(tmp_path, f'{header}"rooms/a, b.jpg",3,4,2.5\n'))
    assert found == (tmp_path / "rooms/a, b.jpg", (3, 4), 2.5, False, None)


def test_a_header_can_change_order_and_say_straight_from_the_camera(tmp_path: Path) -> None:
    (found,) = read_distances(written(tmp_path, "distance_m,picture,y,x\n2.5,a.jpg,4,3\n"))
    assert found == (tmp_path / "a.jpg", (3, 4), 2.5, True, None)


def test_lengths_stand_beside_points(tmp_path: Path) -> None:
    found = read_distances(written(tmp_path, "1,2,3\n10,20,30,40,0.297\n"), Path("a.jpg"))
    assert found == [(Path("a.jpg"), (1, 2), 3, False, None), (Path("a.jpg"), (10, 20), 0.297, False, (30, 40))]
    (named,) = read_distances(written(tmp_path, "a.jpg,10,20,30,40,0.297\n"))
    assert named == (tmp_path / "a.jpg", (10, 20), 0.297, False, (30, 40))


def test_a_point_below_a_header_of_lengths_leaves_the_end_empty(tmp_path: Path) -> None:
    text = "x,y,x2,y2,distance_m\n1,2,,,3\n10,20,30,40,0.297\n"
    point, length = read_distances(written(tmp_path, text), Path("a.jpg"))
    assert (point.end, point.from_camera) == (None, True)
    assert (length.end, length.from_camera) == ((30, 40), False)


@pytest.mark.parametrize(
    ("text", "picture", "said"),
    [
        ("", "a.jpg", "holds no distance: wanted lines of x,y,metres or picture,x,y,metres"),
        ("x,y,metres\n", "a.jpg", "holds no distance"),
        ("1,2,3\n", None, "holds x,y,metres: name the picture before the file"),
        ("a.jpg,1,2,3\n", "a.jpg", "holds picture,x,y,metres: do not name one beside the file"),
        ("x,y,feet\n1,2,3\n", "a.jpg", "has the columns x,y,feet: wanted x,y,metres"),
        ("1,2\n", "a.jpg", "has 2 columns"),
        ("1,2,3\n1,2,far\n", "a.jpg", "line 2: wanted x,y,metres, got 1,2,far"),
        ("1,2,3\n1,2,3,4\n", "a.jpg", "line 2: wanted x,y,metres, got 1,2,3,4"),
        ("1,2,0\n", "a.jpg", "line 1: a distance is a positive number of metres, got 0"),
        ("1,2,nan\n", "a.jpg", "a positive number of metres, got nan"),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, text: str, picture: str | None, said: str) -> None:
    with pytest.raises(LeadlineError, match=r"points\.csv") as caught:
        read_distances(written(tmp_path, text), picture and Path(picture))
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "points.csv").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "points.csv", tmp_path, tmp_path / "nowhere.csv"):
        with pytest.raises(LeadlineError, match="cannot be read as lines of x,y,metres"):
            read_distances(path)


@pytest.mark.parametrize("text", ["0.15,0.2,1.2\n0.5,0.5,1.1\n", "0,0,1\n1,0.5,1\n", "0.1,0.2,0.5,0.2,1.2\n"])
def test_shares_of_the_sides_are_no_pixels(tmp_path: Path, text: str) -> None:
    with pytest.raises(LeadlineError, match="from 0 to 1, wanted pixels: they look like shares of the image's sides"):
        read_distances(written(tmp_path, text), tmp_path / "a.png")


def test_the_corner_of_an_image_is_in_pixels(tmp_path: Path) -> None:
    points = [it.point for it in read_distances(written(tmp_path, "0,0,1\n1,1,1\n"), tmp_path / "a.png")]
    assert points == [(0, 0), (1, 1)]
    assert len(read_distances(written(tmp_path, "0.5,0.5,1\n40,2,1\n"), tmp_path / "a.png")) == 2


def test_lengths_between_shares_are_refused() -> None:
    with pytest.raises(LeadlineError, match="points from 0 to 1, wanted pixels"):
        known_lengths(None, [((0.1, 0.2), (0.8, 0.2), 1.0)])
    assert len(known_lengths(None, [((1.0, 0.0), (8.0, 0.0), 1.0)])) == 1


@pytest.mark.parametrize("header", ["X,Y,Metres", "x,y,meters", "Image,x,y,meters"])
def test_names_of_columns_may_be_spelled_otherwise(tmp_path: Path, header: str) -> None:
    named = header.startswith("Image")
    path = written(tmp_path, f"{header}\n{'a.jpg,' if named else ''}10,20,1.5\n")
    (found,) = read_distances(path, None if named else Path("a.jpg"))
    assert (found.picture.name, found.point, found.metres) == ("a.jpg", (10, 20), 1.5)
