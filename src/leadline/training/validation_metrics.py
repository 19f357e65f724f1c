"""The metrics of a data set while a model is trained on it, by one process or several.

Apart from `metrics` because torchmetrics takes seconds to import, which only training has to wait for.
"""

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from leadline.evaluation import SUMS, error_sums, metrics_from_sums


class DepthMetrics(Metric):
    """Metrics over a set of pictures, right across processes, with a row for each picture.

    A picture is known by its `index` in the data set: rows that come twice (a sampler that pads, a second
    epoch) count once, and the order of pictures and the number of processes do not matter.
    """

    is_differentiable = False
    full_state_update = False
    rows: list[Tensor]

    def __init__(self, **kwargs: Any) -> None:
        """Start with no pictures; `kwargs` go to `torchmetrics.Metric`."""
        super().__init__(**kwargs)
        self.add_state("rows", default=[], dist_reduce_fx="cat")
        self.reset()

    def reset(self) -> None:
        """Forget all pictures."""
        super().reset()
        # A process without pictures takes part in a gathering only with a tensor of two dimensions.
        self.rows.append(torch.zeros(0, 1 + len(SUMS), dtype=torch.float64, device=self.device))

    def update(self, pred_m: Tensor, target_m: Tensor, valid: Tensor, index: Tensor) -> None:
        """Add pictures.

        Args:
            pred_m: predicted depth in metres, (B, 1, H, W).
            target_m: true depth in metres, (B, 1, H, W).
            valid: which pixels count, bool (B, 1, H, W).
            index: the pictures' places in the data set, int (B,).
        """
        sums = error_sums(pred_m, target_m, valid)
        self.rows.append(torch.cat([index.to(sums)[:, None], sums], dim=1))

    def sums(self) -> tuple[Tensor, Tensor]:
        """The indices, ascending, int (N,), and `error_sums` rows, (N, 10), of all pictures so far."""
        rows = dim_zero_cat(self.rows)
        rows = rows[rows[:, 0].argsort(stable=True)]
        first = torch.ones(len(rows), dtype=torch.bool, device=rows.device)
        first[1:] = rows[1:, 0] != rows[:-1, 0]
        return rows[first, 0].long(), rows[first, 1:]

    def compute(self) -> dict[str, Tensor]:
        """Both averagings.

        Returns:
            "per_image", (9,): mean over pictures that have a valid pixel; "pooled", (9,): over all valid pixels.
        """
        _, sums = self.sums()
        # Not nanmean: a prediction of NaN must not drop its picture.
        scored = sums[sums[:, 0] > 0]
        return {"per_image": metrics_from_sums(scored).mean(0), "pooled": metrics_from_sums(scored.sum(0))}
