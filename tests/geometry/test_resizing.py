import pytest
import torch

from leadline.geometry.resizing import resize, resize_depth, size_with_area


def test_shrinking_averages_over_all_pixels():
    stripes = torch.tensor([1.0, 0.0, 0.0, 0.0]).repeat(16).expand(1, 3, 64, 64)
    small = resize(stripes, 16, 16)
    assert small.shape == (1, 3, 16, 16)
    # The nearest pixels alone, the second and third of each four, are all 0.
    torch.testing.assert_close(small[..., 1:-1], torch.full((1, 3, 16, 14), 0.25), rtol=0, atol=0.1)


def test_resizing_to_the_same_size_is_no_work():
    image = torch.rand(2, 3, 5, 7)
    assert resize(image, 5, 7) is image
    assert resize_depth(image, 5, 7) is image


def test_enlarging_keeps_outer_edges():
    # Pixel centres 0.5 and 1.5 of a row of two; those of four lie at 0.25, 0.75, 1.25, 1.75.
    row = torch.tensor([0.0, 4.0]).view(1, 1, 1, 2)
    assert resize(row, 1, 4).flatten().tolist() == [0.0, 1.0, 3.0, 4.0]
    assert resize_depth(row, 1, 4).flatten().tolist() == [0.0, 1.0, 3.0, 4.0]


def test_shrinking_depth_reads_the_nearest_pixels_only():
    row = torch.tensor([1.0, 2.0, 3.0, 4.0, 50.0, 6.0, 7.0, 8.0]).view(1, 1, 1, 8)
    assert resize_depth(row, 1, 2).flatten().tolist() == [2.5, 6.5]  # (2 + 3) / 2, (6 + 7) / 2


def test_gradients_pass_through_a_resize():
    image = torch.rand(1, 1, 8, 8, requires_grad=True)
    resize(image, 4, 4).sum().backward()
    assert image.grad is not None
    torch.testing.assert_close(image.grad.sum(), torch.tensor(16.0))


@pytest.mark.parametrize(
    ("size", "area_px", "expected"),
    [
        ((480, 640), 240 * 320, (240, 320)),
        ((240, 320), 240 * 320, (240, 320)),
        ((640, 480), 240 * 320, (320, 240)),
        ((120, 160), 240 * 320, (240, 320)),
        ((1, 1), 240 * 320, (277, 277)),
        ((1, 8000), 240 * 320, (32, 2400)),
        ((8000, 1), 240 * 320, (2400, 32)),
        ((480, 640), 1, (32, 32)),
    ],
)
def test_size_with_area(size, area_px, expected):
    assert size_with_area(*size, area_px) == expected


@pytest.mark.parametrize("size", [(480, 640), (3000, 4000), (1080, 1920), (333, 777), (5000, 700)])
@pytest.mark.parametrize("multiple", [1, 14, 32])
def test_size_with_area_keeps_area_aspect_and_multiple(size, multiple):
    height, width = size_with_area(*size, 384 * 512, multiple)
    assert height % multiple == width % multiple == 0
    assert height * width == pytest.approx(384 * 512, rel=0.13)
    assert width / height == pytest.approx(size[1] / size[0], rel=0.13)


def test_the_shortest_side_is_rounded_up_to_a_multiple():
    assert size_with_area(1, 1, 1, multiple=14, smallest=32) == (42, 42)
