from collections.abc import Callable

import pytest
import torch

from leadline.models.device import autocast, has_native_bf16, multiplies_in_tiles, pick_device

CPU, CUDA, MPS = (torch.device(name) for name in ("cpu", "cuda", "mps"))


def answering(value: object) -> Callable[..., object]:
    return lambda *args, **kwargs: value


@pytest.mark.parametrize(
    ("cuda", "mps", "picked"), [(True, True, CUDA), (True, False, CUDA), (False, True, MPS), (False, False, CPU)]
)
def test_the_fastest_device_is_picked(
    monkeypatch: pytest.MonkeyPatch, cuda: bool, mps: bool, picked: torch.device
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", answering(cuda))
    monkeypatch.setattr(torch.backends.mps, "is_available", answering(mps))
    assert pick_device() == picked


@pytest.mark.parametrize(
    ("capabilities", "native"),
    [
        ({"avx512_bf16": True, "amx_bf16": False}, True),
        ({"avx512_bf16": False, "amx_bf16": True}, True),
        ({"avx512_bf16": False, "amx_bf16": False, "avx512_f": True, "avx2": True}, False),
        ({}, False),
    ],
)
def test_a_processor_has_bf16_if_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, bool], native: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", answering(capabilities), raising=False)
    assert has_native_bf16(CPU) is native


@pytest.mark.parametrize(("amx", "autocasting"), [(True, True), (True, False), (False, True)])
def test_tiles_are_used_where_they_are_and_bf16_is(
    monkeypatch: pytest.MonkeyPatch, amx: bool, autocasting: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", answering({"amx_bf16": amx}), raising=False)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocasting):
        assert multiplies_in_tiles() is (amx and autocasting)


def test_a_torch_that_cannot_tell_has_no_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert has_native_bf16(CPU) is False


@pytest.mark.parametrize("supported", [True, False])
def test_cuda_is_asked_for_bf16_without_emulation(monkeypatch: pytest.MonkeyPatch, supported: bool) -> None:
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda *, including_emulation: supported is not including_emulation
    )
    assert has_native_bf16(CUDA) is supported


def test_apples_device_has_no_bf16() -> None:
    assert has_native_bf16(MPS) is False


@pytest.mark.parametrize(("native", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_autocast_multiplies_in_bf16_only_where_it_is_native(
    monkeypatch: pytest.MonkeyPatch, native: bool, dtype: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", answering({"amx_bf16": native}), raising=False)
    with autocast(CPU):
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype == dtype and (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
