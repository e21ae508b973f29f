"""The syntax of env files, by the examples of Compose's documentation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmlet.model.compose import ComposeError, parse_env_file


def read(text: str, **variables: str) -> dict[str, str]:
    return parse_env_file(text, "web.env", variables)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=VAL", "VAL"),
        ("A= VAL ", "VAL"),
        ("  A  =  VAL", "VAL"),
        ("A: VAL", "VAL"),
        ("export A=VAL", "VAL"),
        ('A="VAL"', "VAL"),
        ("A='VAL'", "VAL"),
        ("A=", ""),
        ("A=''", ""),
        ("A=VAL # comment", "VAL"),
        ("A=VAL#not a comment", "VAL#not a comment"),
        ("A=#x", "#x"),
        ("A= # comment", ""),
        ('A="VAL # not a comment"', "VAL # not a comment"),
        ('A="VAL" # comment', "VAL"),
        ("A='$V and ${V}'", "$V and ${V}"),
        ("A='Let\\'s go!'", "Let's go!"),
        ('A="{\\"hello\\": \\"json\\"}"', '{"hello": "json"}'),
        ('A="a\\tb\\nc\\\\d\\$V"', "a\tb\nc\\d$V"),
        ('A="two\nlines"', "two\nlines"),
        ("A='two\nlines'", "two\nlines"),
        ("A=$V-${V:-x}-${W:-d}", "v-v-d"),
        ('A="$V"', "v"),
        ("A=a=b:c", "a=b:c"),
        ("A=VAL\r\n", "VAL"),
        ("\ufeffA=VAL", "VAL"),
        ("A=x y", "x y"),
    ],
)
def test_values(line: str, value: str) -> None:
    assert read(f"{line}\n# comment\n\nB=2", V="v") == {"A": value, "B": "2"}


def test_lines_above_can_be_used_but_the_deployers_variables_win() -> None:
    assert read("A=file\nB=$A\nC=$V", A="shell", V="v") == {"A": "file", "B": "shell", "C": "v"}
    assert read("A=file\nB=$A") == {"A": "file", "B": "file"}


def test_a_name_alone_takes_the_deployers_variable() -> None:
    assert read("A\nB\n", A="1") == {"A": "1"}


def test_the_last_of_two_wins() -> None:
    assert read("A=1\nA=2") == {"A": "2"}


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ("A=1\n=2", 2, "'=2' is no variable, write NAME=value"),
        ("# x\n\nhello world", 3, "'hello world' is no variable"),
        ("A='1\n\n", 1, "the quote ' is never closed"),
        ('A="two\nlines"\nB="', 3, 'the quote " is never closed'),
        ("A='1' 2", 1, "'2' stands after the closing quote"),
        ("A=1\nB=$1", 2, "names no variable, write $$"),
        ("A=1\nB=${C:?needed}", 2, "the variable C is not set: needed"),
        ("1A=1", 1, "is no variable"),
    ],
)
def test_faults_are_placed_in_the_file(text: str, line: int, part: str) -> None:
    with pytest.raises(ComposeError) as caught:
        read(text)

    assert str(caught.value).startswith(f"web.env:{line}:1: ")
    assert part in str(caught.value)


def test_values_that_grow_without_end_are_refused() -> None:
    with pytest.raises(ComposeError, match=r"longer than|more than"):
        read("A=0123456789\n" + "".join(f"A{n}=${n_before}${n_before}\n" for n, n_before in _doubling()))


def _doubling() -> list[tuple[int, str]]:
    return [(n, f"A{n - 1}" if n else "A") for n in range(40)]


@given(
    st.dictionaries(
        st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,5}", fullmatch=True), st.text(st.characters(exclude_characters="'\\\r"))
    )
)
def test_single_quotes_keep_any_text(values: dict[str, str]) -> None:
    assert read("".join(f"{name}='{value}'\n" for name, value in values.items())) == values


@given(st.text(alphabet="A=:'\"\\$#{} \nx-", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read(text, A="1")
    except ComposeError as error:
        assert "\n" not in str(error)
