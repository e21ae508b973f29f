"""Durations and sizes: Compose's own examples, what is refused, and properties."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmlet.model.compose.quantities import BadQuantity, duration_s, size_bytes


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2.5s", 2.5),
        ("10s", 10),
        ("1m30s", 90),
        ("2h32m", 9120),
        ("5h34m56s", 20096),
        ("0", 0),
        ("0s", 0),
        ("100ms", 0.1),
        ("1us", 1e-6),
        ("1µs", 1e-6),
        ("1ns", 1e-9),
        (".5s", 0.5),
        ("1.s", 1),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert duration_s(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "s", "5", "1 s", "-1s", "+1s", "1d", "1s1", "1e3s", "1M", "٣s", "9000h", "1s" * 90]
)
def test_what_is_no_duration_is_refused_with_a_remedy(text: str) -> None:
    with pytest.raises(BadQuantity, match="write "):
        duration_s(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("2b", 2),
        ("1024", 1024),
        ("1024kb", 2**20),
        ("2048k", 2**21),
        ("300m", 300 * 2**20),
        ("1gb", 2**30),
        ("1GiB", 2**30),
        ("1.5g", 3 * 2**29),
        ("2 MB", 2**21),
        ("1t", 2**40),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert size_bytes(text) == size


@pytest.mark.parametrize("text", ["", "m", "-1m", "1x", "1mm", "1 0m", "1e3", "99999p", "0x10", "٣m", "9" * 50])
def test_what_is_no_size_is_refused_with_a_remedy(text: str) -> None:
    with pytest.raises(BadQuantity, match="write "):
        size_bytes(text)


@given(st.integers(0, 8000), st.integers(0, 59), st.integers(0, 59), st.integers(0, 999))
def test_a_duration_is_the_sum_of_its_parts(hours: int, minutes: int, seconds: int, milliseconds: int) -> None:
    expected = (hours * 3_600_000 + minutes * 60_000 + seconds * 1000 + milliseconds) / 1000

    assert duration_s(f"{hours}h{minutes}m{seconds}s{milliseconds}ms") == expected


@given(st.integers(0, 2**50), st.sampled_from(["", "b", "k", "kb", "K", "kib"]))
def test_units_are_powers_of_1024_in_any_case(number: int, unit: str) -> None:
    assert size_bytes(f"{number}{unit}") == number * (1024 if "k" in unit.lower() else 1)


@given(st.text(alphabet="0123456789.hmsuµnkgbi -", max_size=12))
def test_any_text_is_a_quantity_or_refused(text: str) -> None:
    for parse in (duration_s, size_bytes):
        try:
            assert parse(text) >= 0
        except BadQuantity as error:
            assert "write " in str(error)
