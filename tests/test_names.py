"""The grammar of names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbtrack import names
from nbtrack.errors import InvalidNameError

CHECKS = [
    names.check_run_name,
    names.check_experiment_name,
    names.check_model_name,
    names.check_alias,
    names.check_key,
    names.check_artifact_path,
]


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("bad", ["", "   ", None, 3, "a\x00b", "a\nb", "x" * 10_000])
def test_check_unacceptable_text_raises_and_says_what_came(check: object, bad: object) -> None:
    with pytest.raises(InvalidNameError, match=r"got|holds|too long"):
        check(bad)  # type: ignore[operator]


def test_check_run_name_ten_thousand_characters_names_the_limit() -> None:
    with pytest.raises(InvalidNameError, match=r"at most 250 characters, got 10,000"):
        names.check_run_name("x" * 10_000)


@pytest.mark.parametrize("bad", ["../x", "a/../b", "..", "a\\..\\b"])
def test_check_run_name_path_segment_raises(bad: str) -> None:
    with pytest.raises(InvalidNameError, match=r"'\.\.' is a path segment"):
        names.check_run_name(bad)


@pytest.mark.parametrize("good", ["<b>bold</b>", "lr < 0.1", "größe 🍷", "a/b", "..."])
def test_check_run_name_ordinary_text_passes(good: str) -> None:
    assert names.check_run_name(good) == good


@pytest.mark.parametrize(
    "bad",
    ["../x", "/abs", "C:\\x", "C:x", "a\\b", "a//b", "./a", "a/..", "%2e%2e/x", "%252e%252e%252fx", "a%2fb", "a%00b"],
)
def test_check_artifact_path_that_could_leave_the_run_raises(bad: str) -> None:
    with pytest.raises(InvalidNameError, match="artifact path"):
        names.check_artifact_path(bad)


@pytest.mark.parametrize("good", ["a.txt", "plots/roc.png", "100%.txt", "größe/ä.csv", "a b/c"])
def test_check_artifact_path_ordinary_path_passes(good: str) -> None:
    assert names.check_artifact_path(good) == good


@pytest.mark.parametrize("bad", ["a/b", "a:b", "a@b", ".hidden", " a", "a ", "a?b", "a#b", "a%b", "a\\b"])
def test_check_model_name_ambiguous_in_a_uri_raises(bad: str) -> None:
    with pytest.raises(InvalidNameError, match="model name"):
        names.check_model_name(bad)


@pytest.mark.parametrize("bad", ["latest", "3", "v3", "Staging", "production", "a b", "a/b"])
def test_check_alias_that_already_means_something_raises(bad: str) -> None:
    with pytest.raises(InvalidNameError, match="alias"):
        names.check_alias(bad)


@pytest.mark.parametrize("bad", ["*", "..", "a/../b", "A" * 21, "0" * 20, "0" * 10_000, None])
def test_check_run_id_not_hex_raises(bad: object) -> None:
    with pytest.raises(InvalidNameError, match="expected 21 or 32 lower-case hex digits"):
        names.check_run_id(bad)


@pytest.mark.parametrize(
    "bad",
    [
        "x",
        "http://h/m",
        "models:/",
        "models:/a",
        "models:/a/v2",
        "models:/a/x'y",
        "runs:/",
        "runs:/abc/x",
        "models:/a@",
        3,
    ],
)
def test_parse_model_uri_unreadable_raises(bad: object) -> None:
    with pytest.raises(InvalidNameError, match=r"expected|must|is not allowed|already means"):
        names.parse_model_uri(bad)


@given(st.text(min_size=1, max_size=250))
def test_to_filename_any_name_is_a_safe_unique_segment(name: str) -> None:
    try:
        names.check_run_name(name)
    except InvalidNameError:
        return
    file = names.to_filename(name)
    assert file.isascii() and not set(file) & set('/\\:*?"<>|\0')
    assert file[0] not in ". " and file[-1] not in ". "
    assert len(file) <= 200


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300), unique=True))
def test_to_filename_different_names_get_different_files(many: list[str]) -> None:
    assert len({names.to_filename(name) for name in many}) == len(many)


@given(st.text(max_size=60))
def test_check_artifact_path_accepted_path_stays_below_its_folder(path: str) -> None:
    try:
        checked = names.check_artifact_path(path)
    except InvalidNameError:
        return
    parts = checked.split("/")
    assert ".." not in parts and "" not in parts and not checked.startswith("/")
