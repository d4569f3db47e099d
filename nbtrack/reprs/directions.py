"""Which way a metric gets better, told from its name."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, Literal

Direction = Literal["higher", "lower"]

_HIGHER_TEXT = """
acc accuracies accuracy ami ap ari auc aucroc auprc auroc avgprecision bleu cider coherence concordance coverage dice
elbo exact f f1 f2 fbeta fscore gini hit hitrate hits iou jaccard kappa ks lml loglik map mcc meteor miou mrr ndcg nmi
npv ppv prauc prec precision psnr purity qini r2 r2score rec recall return reward rocauc rouge rsquared score scores
selectivity sensitivity sharpe sil silhouette specificity ssim success throughput tnr tpr
"""
_LOWER_TEXT = """
bce brier ce cer chi2 chisq crossentropy deviance distance divergence ece entropy eer energy err error errors fdr fid
fnr fpr hinge inertia kl kld latency lev logloss loss losses mad mae mape mase maxerror medae mse mpe nll perplexity
pinball ppl regret residual residuals rmse rmsle rss smape sse stress wape wer wmape
"""
_HIGHER: Final = frozenset(_HIGHER_TEXT.split())
_LOWER: Final = frozenset(_LOWER_TEXT.split())
_HIGHER_PAIRS: Final = (
    *(("neg",), ("negative",), ("explained", "variance"), ("log", "likelihood"), ("r", "squared")),
    *(("per", "second"), ("per", "sec"), ("c", "index"), ("p", "at")),
    *(("conversion", "rate"), ("win", "rate"), ("detection", "rate")),
)
_LOWER_PAIRS: Final = (
    ("log", "loss"),
    ("bic",),
    ("aic",),
    ("mean", "squared"),
    ("mean", "absolute"),
    ("brier", "score"),
    ("p", "value"),
    ("pvalue",),
    ("false", "alarm"),
    ("miss", "rate"),
)
TIME_WORDS: Final = frozenset({"time", "seconds", "secs", "ms", "duration", "elapsed", "runtime"})
# What a business counts: a result where it was computed, but as often a setting where it is written out.
_LOWER_AMOUNTS: Final = frozenset({"cost", "costs", "drawdown", "rhat"})
_HIGHER_AMOUNTS: Final = frozenset(
    {"cagr", "calmar", "ess", "lift", "profit", "profits", "roi", "savings", "skill", "sortino", "uplift"}
)
AMOUNT_WORDS: Final = _LOWER_AMOUNTS | _HIGHER_AMOUNTS | {"dd", "maxdd"}  # a drawdown is told with either sign
METRIC_WORDS: Final = _HIGHER | _LOWER | AMOUNT_WORDS


def singular(word: str) -> str:
    """Return ``acc`` for ``accs``: the word for one of many results; any other word as it is."""
    return word[:-1] if word not in METRIC_WORDS and word.endswith("s") and word[:-1] in METRIC_WORDS else word


@lru_cache(maxsize=4096)
def name_words(name: str) -> tuple[str, ...]:
    """Return the lower-case words of a name: ``valLogLoss``, ``val_log-loss`` and ``val/log loss`` are the same.

    Examples
    --------
    >>> name_words("valRMSE_1"), name_words("test/f1-score"), name_words("R2")
    (('val', 'rmse', '1'), ('test', 'f1', 'score'), ('r2',))
    """
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    return tuple(word.lower() for word in re.split(r"[^A-Za-z0-9]+", spaced) if word)


def _holds(words: tuple[str, ...], pairs: tuple[tuple[str, ...], ...]) -> bool:
    return any(words[i : i + len(pair)] == pair for pair in pairs for i in range(len(words) - len(pair) + 1))


@lru_cache(maxsize=4096)
def better_direction(key: str) -> Direction | None:
    """Return which way the metric `key` gets better, or None where its name does not say.

    The most specific word wins: ``brier_score`` and ``score_time`` go down although scores go up, and scikit-learn's
    ``neg_…`` scorers go up although errors go down.

    Examples
    --------
    >>> better_direction("val_loss"), better_direction("f1_weighted"), better_direction("neg_mean_squared_error")
    ('lower', 'higher', 'higher')
    >>> better_direction("n_rows") is None
    True
    """
    words = name_words(key)
    if not words:
        return None
    if _holds(words, _HIGHER_PAIRS):
        return "higher"
    if _holds(words, _LOWER_PAIRS) or not TIME_WORDS.isdisjoint(words):
        return "lower"
    bare = [singular(re.sub(r"\d+$", "", word)) if word not in METRIC_WORDS else word for word in words]
    if not _LOWER.isdisjoint(bare):
        return "lower"
    if not _HIGHER.isdisjoint(words) or not _HIGHER.isdisjoint(bare):
        return "higher"
    amounts = AMOUNT_WORDS.intersection(words)
    if amounts and amounts <= _HIGHER_AMOUNTS:
        return "higher"
    return "lower" if amounts and amounts <= _LOWER_AMOUNTS else None
