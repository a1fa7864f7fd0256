import pytest

from pcfh.errors import UserError
from pcfh.names import composed, require_name, spelled

ONE, TWO = "Zo\u00eb", "Zoe\u0308"  # the same to a reader


def test_a_letter_and_its_accent_are_one_character():
    assert ONE != TWO
    assert composed(ONE) == composed(TWO) == ONE


@pytest.mark.parametrize("given", [ONE, TWO, f"{ONE} ", f" {TWO}\t", f"{TWO}\n"])
def test_a_name_is_one_whatever_the_letters_and_the_blanks_around(given):
    assert spelled(given) == require_name(given) == ONE


@pytest.mark.parametrize("other", ["zo\u00eb", "ZOE\u0308", "Zoe", "Zo \u00eb", "Z\uff4f\u00eb"])
def test_names_that_a_reader_tells_apart_stay_apart(other):
    assert spelled(other) != spelled(ONE)


@pytest.mark.parametrize("wrong", ["", "  ", "a\nb", "a\u200bb", "x" * 513, 257 * "\u00eb"])
def test_what_is_no_name_is_refused(wrong):
    with pytest.raises(UserError, match="a person's name of 1 to 512 bytes"):
        require_name(wrong)
