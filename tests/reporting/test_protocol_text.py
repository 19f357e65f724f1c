import pytest

from leadline.evaluation.protocols import PROTOCOLS, Protocol
from leadline.reporting.protocol_text import protocol_rules


def test_the_rules_of_eigens_protocol_in_words() -> None:
    assert protocol_rules(PROTOCOLS["nyu-eigen"]) == [
        "Of a 480×640 picture, rows 45 to 470 and columns 41 to 600 are scored, where the truth is known and strictly "
        "between 0.001 and 10 m.",
        "The prediction is that of the picture alone.",
        "It is scored as metres: no scale or shift is forgiven.",
        "It is clamped to at least 0.001 m and at most 10 m.",
        "Used by BTS, DPT, UniDepth, Metric3D (on raw depth); printed there: the per image numbers.",
    ]


def test_rules_that_a_protocol_has_not_are_said_too() -> None:
    assert protocol_rules(Protocol(name="own", averaging="pooled")) == [
        "Every pixel of the picture is scored, where the truth is known.",
        "The prediction is that of the picture alone.",
        "It is scored as metres: no scale or shift is forgiven.",
        "It is not clamped.",
        "Printed: the pooled numbers.",
    ]


def test_ends_mirrors_alignments_and_floors_have_their_words() -> None:
    assert "from 0.5 to 4 m, ends included" in protocol_rules(PROTOCOLS["report-in-range"])[0]
    assert "mirror image" in protocol_rules(PROTOCOLS["nyu-eigen-flip"])[1]
    assert "median" in protocol_rules(PROTOCOLS["median"])[2]
    assert "least-squares scale and shift" in protocol_rules(PROTOCOLS["relative"])[2]
    assert protocol_rules(PROTOCOLS["nyu-multitask"])[3] == "It is clamped to at least 1e-09 m."


@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_protocol_can_be_told(name: str) -> None:
    rules = protocol_rules(PROTOCOLS[name])
    assert len(rules) == 5 and all(rule.endswith(".") and "inf" not in rule for rule in rules)


def test_a_window_of_shares_is_said_in_per_cent():
    first = protocol_rules(PROTOCOLS["kitti-eigen"])[0]
    assert "40.8% to 99.2% of the height and 3.6% to 96.4% of the width are scored" in first
