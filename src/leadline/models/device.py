"""Where computation runs, in how many processes, and in which precision."""

from contextlib import AbstractContextManager

import torch


def pick_device() -> torch.device:
    """The fastest device that is there: CUDA, then Apple's, then the processor."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def has_native_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 matrices itself (CUDA from Ampere on, AVX512-BF16, AMX).

    Elsewhere bfloat16 is emulated and slower than float32.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and (_processor_has("avx512_bf16") or _processor_has("amx_bf16"))


def has_tiles() -> bool:
    """Whether the processor multiplies bfloat16 in tiles (AMX)."""
    return _processor_has("amx_bf16")


def multiplies_in_tiles() -> bool:
    """Whether the processor multiplies bfloat16 in tiles (AMX) and autocast is on, so that it does."""
    return torch.is_autocast_enabled("cpu") and _processor_has("amx_bf16")


def _processor_has(capability: str) -> bool:
    # Older releases of torch cannot tell: float32 is right everywhere.
    capabilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get(capability))


def autocast(device: torch.device) -> AbstractContextManager[None]:
    """bfloat16 autocast where it is native, nothing elsewhere."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=has_native_bf16(device))
