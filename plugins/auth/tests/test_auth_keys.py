"""Keys: their form, and what is stored of them."""

from __future__ import annotations

import re
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st
from relay_auth import keys

from relay import Secret

LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"


def test_a_key_has_the_form_that_scanners_are_told() -> None:
    key = keys.make().open()

    assert re.fullmatch(r"rk_live_[0-9a-hjkmnp-tv-z]{39}", key)
    assert keys.verify_form(key)


def test_the_checksum_can_be_verified_by_anybody_from_its_description() -> None:
    key = keys.make().open()

    value = 0
    for letter in key[-7:]:
        value = value * 32 + LETTERS.index(letter)

    assert crc32(key[:-7].encode()) == value


def test_no_two_keys_are_equal() -> None:
    assert 1000 == len({keys.make().open() for _ in range(1000)})


@given(st.integers(0, 46), st.sampled_from(LETTERS + "ilou A-_\n\u0661"))
def test_a_key_with_one_letter_changed_is_malformed(place: int, letter: str) -> None:
    key = keys.make().open()
    changed = key[:place] + letter + key[place + 1 :]

    assert keys.verify_form(changed) is (changed == key)


@given(st.text())
def test_any_text_is_judged_without_failing(text: str) -> None:
    assert keys.verify_form(text) is False


def test_an_older_key_stays_valid() -> None:
    """Pins the form: a change here would lock out every customer."""
    assert keys.verify_form("rk_live_0123456789abcdefghjkmnpqrstvwxyz0c55tsv")
    assert "hmac-sha256:0f487e3926a2fd9763a0697de5fc41ea3f883eeb943e89fc9305424ec42d3d04" == keys.store(
        keys.digest(Secret("s" * 32), Secret("rk_live_x"))
    )


def test_what_is_stored_is_read_back() -> None:
    digest = keys.digest(Secret("s" * 32), keys.make())

    assert digest == keys.read_stored(keys.store(digest))


def test_a_key_put_in_the_place_of_its_digest_is_not_repeated_in_the_error() -> None:
    key = keys.make().open()

    with pytest.raises(ValueError) as raised:
        keys.read_stored(key)

    assert key not in str(raised.value)


def test_another_secret_gives_another_digest() -> None:
    key = keys.make()

    assert keys.digest(Secret("a" * 32), key) != keys.digest(Secret("b" * 32), key)
