"""Pictures of records: complete, escaped, small, and readable without any style."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbtrack.entities import (
    MANIFEST_NAME,
    TAG_NOTE,
    Artifact,
    MetricSummary,
    ModelVersion,
    RegisteredModel,
    Run,
    RunData,
    RunInfo,
    ServerInfo,
)
from nbtrack.reprs import (
    compare_html,
    compare_text,
    model_version_html,
    model_version_text,
    registered_model_html,
    run_card_html,
    run_card_text,
    server_card_html,
    small_table_html,
    small_table_text,
)
from nbtrack.reprs.compare import extremes
from nbtrack.reprs.directions import better_direction, name_words
from nbtrack.reprs.html import sparkline
from nbtrack.reprs.numbers import clean, format_change, format_duration, format_number
from nbtrack.store.base import RunColumn, RunTable

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&\u202e\x1b[31m"


def summary(last: float, low: float | None = None, high: float | None = None, count: int = 1) -> MetricSummary:
    return MetricSummary(last, count - 1, 0, last if low is None else low, last if high is None else high, count)


def make_run(name="rf", status="FINISHED", params=None, metrics=None, capture=None, tags=None, models=()) -> Run:
    artifacts = {f"{m}/{MANIFEST_NAME}": Artifact(f"{m}/{MANIFEST_NAME}", "0" * 64, 1) for m in models}
    return Run(
        RunInfo("0193a5b7c2d1234567890", name, "0", status, 1_000, 3_500),
        RunData(params or {}, {}, tags or {}),
        summaries=metrics or {},
        artifacts=artifacts,
        capture=capture or {},
    )


def make_table(**columns) -> RunTable:
    n = len(next(iter(columns.values())))
    built = [
        RunColumn("attribute", "run_name", columns.pop("run_name", [f"r{i}" for i in range(n)])),
        RunColumn("attribute", "status", columns.pop("status", ["FINISHED"] * n)),
    ]
    for name, values in columns.items():
        kind, _, key = name.partition("_")
        built.append(RunColumn({"p": "param", "m": "metric"}[kind], key, values))
    return RunTable([f"{i:021x}" for i in range(n)], built, n, "r")


class Tags(HTMLParser):
    """Collects what an HTML text holds, and checks that every element is closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.names: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.names.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in {"br", "polyline", "circle"}:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.names.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


TAGS = "div span b code table thead tbody tr th td caption details summary svg polyline circle br a pre"
ALLOWED = set(TAGS.split())


def check_page(text: str) -> Tags:
    page = Tags(text)
    assert page.names <= ALLOWED
    for name, value in page.attributes:
        assert not name.startswith("on")
        assert name not in {"class", "id", "src", "srcset"}
        if name == "href":
            assert value.startswith("http://127.0.0.1")
        if name == "style":
            assert "url(" not in value
            assert "expression" not in value
    assert "\u202e" not in text
    assert "\x1b" not in text
    return page


def hostile_pages() -> dict[str, str]:
    run = make_run(
        HOSTILE,
        "FAILED",
        {HOSTILE: HOSTILE},
        {HOSTILE: summary(0.5, 0.1, 0.9, 5)},
        {
            "error": {"type": HOSTILE, "message": HOSTILE},
            "captured": [HOSTILE],
            "not_captured": [HOSTILE],
            "models": [{"path": "m", "class": HOSTILE}],
        },
        {TAG_NOTE: HOSTILE},
        ["m"],
    )
    table = make_table(run_name=[HOSTILE, "b"], status=[HOSTILE, "FINISHED"], p_x=[HOSTILE, "1"], m_y=[1.0, 2.0])
    version = ModelVersion(HOSTILE, 1, HOSTILE, (HOSTILE,), description=HOSTILE, source=HOSTILE, metrics={HOSTILE: 1.0})
    server = ServerInfo("s", "javascript:alert(1)", 1, 2, HOSTILE, HOSTILE, 1, "kernel", "ready", 0, HOSTILE)
    return {
        "card": run_card_html(run, run, experiment=HOSTILE, curves={HOSTILE: [1, 2, 3]}),
        "compare": compare_html(table, colors=[HOSTILE, "red"]),
        "version": model_version_html(version),
        "model": registered_model_html(RegisteredModel(HOSTILE, (version,), HOSTILE)),
        "server": server_card_html(server, curl=HOSTILE, log=HOSTILE),
        "table": small_table_html([HOSTILE], [[HOSTILE]]),
    }


@pytest.mark.parametrize("page", hostile_pages())
def test_html_of_hostile_names_holds_them_as_text_only(page):
    text = hostile_pages()[page]
    shown = check_page(text)
    assert "<script>alert(1)" in shown.text
    assert "script" not in shown.names


@given(st.text(max_size=300))
def test_html_of_any_text_stays_well_formed(text):
    check_page(run_card_html(make_run(text, params={text: text}, metrics={text: summary(1.0)}, tags={TAG_NOTE: text})))
    check_page(compare_html(make_table(run_name=[text, "b"], p_x=[text, None], m_y=[1.0, None])))


def test_card_shows_status_metrics_change_params_model_and_what_was_captured():
    before = make_run("first", metrics={"accuracy": summary(0.9), "loss": summary(0.5)})
    run = make_run(
        params={"C": "3.0"},
        metrics={"accuracy": summary(0.95), "loss": summary(0.75), "rows": summary(10)},
        capture={"captured": ["cell source (3 lines)"], "models": [{"path": "model", "class": "SVC"}], "wall_s": 1.25},
        models=["model"],
    )
    text = check_page(run_card_html(run, before, experiment="wine")).text
    for part in (
        "✓ finished",
        "rf",
        "in 1.2 s",
        "wine",
        "0.95",
        "▲ +0.05 better",
        "▲ +0.25 worse",
        "change against first",
        "C\xa0=\xa03.0",
        "SVC",
        "runs:/0193a5b7c2d1234567890/model",
        "What was captured (1)",
        "cell source (3 lines)",
    ):
        assert part in text
    plain = run_card_text(run, before)
    for part in ("✓ rf  finished in 1.2 s", "accuracy  0.95  (+0.05 better)", "C=3.0", "model runs:/"):
        assert part in plain


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("FINISHED", "✓ finished"),
        ("FAILED", "✗ failed"),
        ("KILLED", "■ stopped"),
        ("CRASHED", "✗ crashed"),
        ("RUNNING", "● running"),
    ],
)
def test_card_says_the_status_in_words_and_sign(status, words):
    run = make_run(status=status, metrics={"a": summary(1)})
    assert words in check_page(run_card_html(run)).text
    assert words.split()[1] in run_card_text(run)


def test_card_of_a_failed_run_shows_the_error():
    run = make_run(status="FAILED", capture={"error": {"type": "ValueError", "message": "no such wine"}})
    assert "ValueError: no such wine" in check_page(run_card_html(run)).text
    assert "ValueError: no such wine" in run_card_text(run)


def test_card_of_an_empty_run_says_how_to_get_something_on_it():
    text = check_page(run_card_html(make_run())).text
    assert "No params or metrics found" in text
    assert "-m NAME" in text


def test_card_with_a_lot_to_show_stays_below_8_kb():
    run = make_run(
        "n" * 250,
        params={f"parameter_{i}": "value" * 10 for i in range(200)},
        metrics={f"metric_{i}": summary(0.1 * i, 0, 100, 1_000) for i in range(60)},
        capture={"captured": [f"something of importance {i}" for i in range(12)]},
    )
    curve = {f"metric_{i}": [k / 7 for k in range(200)] for i in range(3)}
    page = run_card_html(run, run, curves=curve)
    assert len(page.encode()) <= 8_000
    assert re.search(r"and \d+ more<", page)
    assert re.search(r"and \d+ more metrics<", page)
    few = run_card_html(
        make_run(params={f"p{i}": "0.1" for i in range(20)}, metrics={k: summary(0.5) for k in "abcdef"})
    )
    assert "more" not in few


def test_compare_shows_varying_params_marks_extremes_and_lists_the_rest():
    table = make_table(
        p_trees=["1", "10", "100"],
        p_seed=["7", "7", "7"],
        m_accuracy=[0.8, 0.9, 0.85],
        m_loss=[0.5, 0.3, 0.4],
        m_weight=[1.0, 2.0, 3.0],
    )
    page = compare_html(table)
    text = check_page(page).text
    assert "same in all: seed = 7" in text
    assert "accuracy ↑" in text
    assert "loss ↓" in text
    assert re.search(r"<b[^>]*>0\.90</b><span[^>]*best[^>]*>\xa0▲", page.replace("&nbsp;", "\xa0"))
    assert re.search(r"<b[^>]*>0\.3</b><span[^>]*best[^>]*>\xa0▼", page.replace("&nbsp;", "\xa0"))
    assert not re.search(r"<b[^>]*>3</b>", page)  # which weight is better, nobody knows
    plain = compare_text(table).splitlines()
    assert plain[0].split() == ["run", "status", "trees", "accuracy", "loss", "weight"]
    assert "0.9 ▲" in plain[2]


def test_compare_missing_and_odd_values_are_shown_as_such():
    table = make_table(p_x=["1", None], m_acc=[None, float("nan")], m_inf=[float("inf"), 1.0])
    text = check_page(compare_html(table)).text
    assert "–" in text
    assert "NaN" in text
    assert "∞" in text


def test_compare_of_nothing_says_what_to_do():
    empty = RunTable([], [], 0, "r")
    assert "%%track" in check_page(compare_html(empty)).text
    assert "%%track" in compare_text(empty)


def test_compare_of_many_runs_counts_what_it_leaves_out():
    n = 500
    columns = {f"p_k{i}": [str(j * i) for j in range(n)] for i in range(40)}
    page = compare_html(make_table(**columns, m_acc=[j / n for j in range(n)]))
    assert "470 more runs not shown" in page
    assert "more columns not shown" in page
    assert len(page.encode()) < 80_000


def test_compare_one_run_shows_everything_it_has():
    assert "3.0" in check_page(compare_html(make_table(p_C=["3.0"], m_acc=[0.5]))).text


def test_pictures_of_models_and_servers_read_without_style():
    version = ModelVersion(
        "wine",
        3,
        "Staging",
        ("champion",),
        "r",
        "runs:/r/model",
        metrics={"acc": 0.9},
        flavor="sklearn",
        creation_timestamp=1_700_000_000_000,
    )
    assert "wine version 3" in check_page(model_version_html(version)).text
    assert model_version_text(version) == "wine version 3  stage Staging @champion  acc 0.9"
    assert "2023-11-14 22:13 UTC" in check_page(registered_model_html(RegisteredModel("wine", (version,)))).text
    server = ServerInfo("s", "http://127.0.0.1:5001", 5001, 7, "models:/wine/3", "wine", 3, "kernel", "ready", 0)
    ready = check_page(server_card_html(server, curl="curl x"))
    assert ("href", "http://127.0.0.1:5001") in ready.attributes
    assert "curl x" in ready.text


def test_small_table_text_is_aligned():
    assert small_table_text(["a", "bb"], [["x", 0.5], ["long", None]]) == "a     bb\nx     0.5\nlong  None"


def test_sparkline_needs_two_points_and_survives_nan():
    assert sparkline([1.0], "x") == ""
    assert sparkline([float("nan")] * 5, "x") == ""
    assert 'aria-label="loss by step"' in sparkline([3.0, float("nan"), 1.0], "loss by step")
    assert len(sparkline([float(i % 7) for i in range(100_000)], "x")) < 3_000
    assert "NaN" not in sparkline([2.0, 2.0], "flat")


@pytest.mark.parametrize(
    ("key", "direction"),
    [
        ("accuracy", "higher"),
        ("val_acc", "higher"),
        ("test/f1-score", "higher"),
        ("ROC_AUC", "higher"),
        ("R2", "higher"),
        ("top5_acc", "higher"),
        ("map50", "higher"),
        ("recall_at_k", "higher"),
        ("loss", "lower"),
        ("train/loss", "lower"),
        ("valRMSE", "lower"),
        ("log_loss", "lower"),
        ("neg_log_loss", "higher"),
        ("neg_mean_squared_error", "higher"),
        ("mean_squared_error", "lower"),
        ("brier_score", "lower"),
        ("score_time", "lower"),
        ("error_rate", "lower"),
        ("explained_variance", "higher"),
        ("AIC", "lower"),
        ("n_rows", None),
        ("C", None),
        ("", None),
        ("epoch", None),
    ],
)
def test_direction_is_told_from_the_name(key, direction):
    assert better_direction(key) == direction


@given(st.text(max_size=80))
def test_direction_takes_any_text(key):
    assert better_direction(key) in {"higher", "lower", None}
    assert all(word == word.lower() and word for word in name_words(key))


def test_numbers_and_durations_read_well():
    assert [format_number(x) for x in (0.0, -0.5, 1e15, 123456.7, float("-inf"))] == [
        "0",
        "-0.5",
        "1e+15",
        "123,457",
        "-∞",
    ]
    assert format_change(1e-9, lambda value: f"{value:.2f}") == "+1e-09"
    assert format_duration(59.96) == "60.0 s"
    assert clean("a\nb\tc" + "d" * 300).startswith("a b c")
    assert len(clean("d" * 300)) == 200


def test_extremes_need_two_different_numbers():
    assert extremes([1.0, None, 3.0]) == (1.0, 3.0)
    assert extremes([1.0, 1.0]) == (None, None)
    assert extremes([None]) == (None, None)
