"""In how many processes a training runs."""

import os
from typing import Any


def is_first_process() -> bool:
    """Whether this is the process that writes, of those that `torchrun` started; alone it is."""
    return os.environ.get("RANK", "0") == "0"


def trainer_processes() -> dict[str, Any]:
    """Devices and machines of a training, as Lightning's `Trainer` takes them: what `torchrun` started, or one."""
    if "LOCAL_WORLD_SIZE" not in os.environ:
        return {"devices": 1}
    local, everywhere = int(os.environ["LOCAL_WORLD_SIZE"]), int(os.environ["WORLD_SIZE"])
    return {"devices": local, "num_nodes": everywhere // local, "strategy": "ddp"}
