import pytest
import torch
from torch import Tensor

from leadline.errors import LeadlineError
from leadline.models.quantization import GROUP, MIN_ROUNDED, SCALE_SUFFIX, Precision, dequantize, quantize


def weights() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(400, 300, generator=generator) * torch.logspace(-4, 2, 400)[:, None]
    rows[7] = 0
    return {
        "large": rows,
        "kernel": torch.randn(4, 8, 3, 3, generator=generator),
        "one_row": torch.randn(1, MIN_ROUNDED, generator=generator),
        "bias": torch.tensor([1.00001, -3.0]),
        "count": torch.tensor(17),
    }


def test_int8_by_hand() -> None:
    tensor = torch.zeros(2, MIN_ROUNDED)
    tensor[0, :3] = torch.tensor([2.54, 1.0, -0.01])
    tensor[0, GROUP] = 12.7
    tensor[1, 0] = -127
    packed = quantize({"w": tensor}, "int8")
    assert packed["w"].dtype == torch.int8
    assert packed["w"][0, :3].tolist() == [127, 50, 0]  # the scale is 0.02, and half of it goes to the even neighbour
    assert packed["w"][1, 0] == -127
    assert packed["w"][0, GROUP] == 127
    scales = packed["w" + SCALE_SUFFIX].view(2, -1)
    assert scales.shape[1] == MIN_ROUNDED // GROUP
    assert scales[:, :2].tolist() == [pytest.approx([0.02, 0.1]), pytest.approx([1.0, 0.0])]
    assert dequantize(packed)["w"][0, :3].tolist() == pytest.approx([2.54, 1.0, 0.0])


def test_one_large_weight_rounds_its_neighbours_and_no_others() -> None:
    tensor = torch.full((2, MIN_ROUNDED), 0.1)
    tensor[0, 0] = 100.0
    found = dequantize(quantize({"w": tensor}, "int8"))["w"]
    assert found[0, 1:GROUP].tolist() == [0.0] * (GROUP - 1)
    assert torch.allclose(found[0, GROUP:], tensor[0, GROUP:])


def test_a_scale_for_each_row_is_read_too() -> None:
    stored, scale = torch.tensor([[127, -1], [2, 0]], dtype=torch.int8), torch.tensor([[0.5], [2.0]])
    packed = {"w": stored, "w" + SCALE_SUFFIX: scale}
    assert dequantize(packed)["w"].tolist() == [[63.5, -0.5], [4.0, 0.0]]


def test_int8_is_off_by_half_a_step_of_its_row_at_most() -> None:
    given = weights()
    found = dequantize(quantize(given, "int8"))
    step = given["large"].abs().amax(1, keepdim=True) / 127
    assert ((found["large"] - given["large"]).abs() <= 0.5001 * step).all()
    assert not found["large"][7].any()


@pytest.mark.parametrize("precision", ["float16", "int8"])
def test_what_is_small_or_has_one_row_is_float16_and_vectors_are_whole(precision: Precision) -> None:
    given, packed = weights(), quantize(weights(), precision)
    for name in ("kernel", "one_row"):
        assert packed[name].dtype == torch.float16
        assert torch.equal(dequantize(packed)[name], given[name].half().float())
    assert torch.equal(packed["bias"], given["bias"])
    assert torch.equal(packed["count"], given["count"])


def test_float32_comes_back_bit_for_bit() -> None:
    given, found = weights(), dequantize(quantize(weights(), "float32"))
    assert given.keys() == found.keys()
    assert all(torch.equal(given[name].float(), found[name]) for name in given)


def test_large_matrices_take_a_quarter() -> None:
    def size(packed: dict[str, Tensor]) -> int:
        return sum(tensor.numel() * tensor.element_size() for name, tensor in packed.items() if "large" in name)

    assert size(quantize(weights(), "int8")) < 0.26 * size(quantize(weights(), "float32"))


def test_rows_without_a_whole_number_of_groups_have_a_scale_each() -> None:
    packed = quantize({"w": torch.randn(400, 300)}, "int8")
    assert len(packed["w" + SCALE_SUFFIX]) == 400 and torch.isfinite(dequantize(packed)["w"]).all()
    packed["w" + SCALE_SUFFIX] = torch.ones(400 * 300 // GROUP, 1)
    with pytest.raises(LeadlineError, match="w: whole numbers with 3750 scales, wanted 400;"):
        dequantize(packed)


@pytest.mark.parametrize("num_scales", [0, 3, 200])
def test_integers_without_all_of_their_scales_are_refused(num_scales: int) -> None:
    packed = quantize({"w": torch.ones(400, 320)}, "int8")
    assert len(packed["w" + SCALE_SUFFIX]) == 4000
    packed["w" + SCALE_SUFFIX] = packed["w" + SCALE_SUFFIX][:num_scales]
    with pytest.raises(LeadlineError, match=f"w: whole numbers with {num_scales} scales, wanted 4000"):
        dequantize(packed)
    del packed["w" + SCALE_SUFFIX]
    with pytest.raises(LeadlineError, match="w: whole numbers with 0 scales, wanted 4000"):
        dequantize(packed)
