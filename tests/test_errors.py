import pytest

from leadline.errors import LeadlineError, unknown_name


def test_a_user_error_is_a_value_error():
    with pytest.raises(ValueError, match="too small"):
        raise LeadlineError("too small")


def test_unknown_name_offers_the_nearest():
    error = unknown_name("recipe", "report-unett", ["report-cae", "report-unet", "base"])
    assert str(error) == "unknown recipe 'report-unett': did you mean 'report-unet'?"


def test_unknown_name_lists_all_when_none_is_near():
    assert str(unknown_name("part", "xyz", iter(["encoder", "head"]))) == (
        "unknown part 'xyz': choose from encoder, head"
    )
