"""A protocol in words, for those who read its numbers."""

from math import inf

from leadline.evaluation import Protocol

AVERAGINGS = {"per_image": "per image", "pooled": "pooled"}
"""What the averagings are called."""


def protocol_rules(protocol: Protocol) -> list[str]:
    """A protocol's rules as sentences.

    Args:
        protocol: the protocol.
    """
    window = "Every pixel of the picture is scored"
    if protocol.crop is not None and protocol.size is not None:
        top, bottom, left, right = protocol.crop
        size = "×".join(map(str, protocol.size))
        window = f"Of a {size} picture, rows {top} to {bottom - 1} and columns {left} to {right - 1} are scored"
    if protocol.crop_share is not None:
        window = ("Of a picture, {:.1%} to {:.1%} of the height and {:.1%} to {:.1%} of the width are scored").format(
            *protocol.crop_share
        )
    of = "the mean of those of the picture and its mirror image" if protocol.flip else "that of the picture alone"
    users = f"Used by {protocol.used_by}; printed there" if protocol.used_by else "Printed"
    return [
        f"{window}, where the truth is known{_truth_range(protocol)}.",
        f"The prediction is {of}.",
        _ALIGNMENTS[protocol.alignment],
        _clamp(protocol),
        f"{users}: the {AVERAGINGS[protocol.averaging]} numbers.",
    ]


_ALIGNMENTS = {
    "none": "It is scored as metres: no scale or shift is forgiven.",
    "median": "Picture by picture it is multiplied so that its median is the truth's.",
    "scale-shift": "Picture by picture it is brought to the truth by a least-squares scale and shift.",
}


def _truth_range(protocol: Protocol) -> str:
    near_m, far_m = protocol.valid_range_m
    if (near_m, far_m) == (0.0, inf):
        return ""
    words = "from {:g} to {:g} m, ends included" if protocol.includes_ends else "strictly between {:g} and {:g} m"
    return " and " + words.format(near_m, far_m)


def _clamp(protocol: Protocol) -> str:
    if protocol.clamp_m is None:
        return "It is not clamped."
    near_m, far_m = protocol.clamp_m
    return f"It is clamped to at least {near_m:g} m" + ("." if far_m == inf else f" and at most {far_m:g} m.")
