"""What a sweep tries: every combination of a grid, random draws, or what Optuna suggests."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Literal, Protocol

from nbtrack.errors import InvalidInputError

Method = Literal["grid", "random", "optuna"]
Params = dict[str, Any]
LOG: Final = "log"


class Source(Protocol):
    """Where the params of the next trial come from, and who wants to hear how it went."""

    def next(self) -> tuple[int, Params] | None:
        """Return the number and the params of the next trial; None if there is none left."""

    def tell(self, number: int, value: float | None) -> None:
        """Take the value of a finished trial; None if it failed."""


class Listed:
    """Trials that are known beforehand."""

    def __init__(self, trials: Iterator[Params], done: frozenset[int]) -> None:
        self._trials = ((number, params) for number, params in enumerate(trials) if number not in done)

    def next(self) -> tuple[int, Params] | None:
        """Return the next trial."""
        return next(self._trials, None)

    def tell(self, number: int, value: float | None) -> None:
        """Take no notice: what comes next does not depend on it."""


class Suggested:
    """Trials that Optuna suggests from those before. What an earlier sweep learned is told first."""

    def __init__(
        self,
        space: Mapping[str, Any],
        trials: int,
        maximize: bool,
        seed: int,
        known: Mapping[int, tuple[Params, float]],
    ) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space, self._left = space, trials - len(known)
        sampler = optuna.samplers.TPESampler(seed=seed + len(known))
        self._study = optuna.create_study(direction="maximize" if maximize else "minimize", sampler=sampler)
        self._open: dict[int, Any] = {}
        self._numbers = (number for number in itertools.count() if number not in known)
        for params, value in known.values():
            shown = {key: params[key] for key in space if key in params}
            distributions = {key: _distribution(key, space[key]) for key in shown}
            self._study.add_trial(optuna.trial.create_trial(params=shown, distributions=distributions, value=value))

    def next(self) -> tuple[int, Params] | None:
        """Ask for the next trial."""
        if self._left <= 0:
            return None
        self._left -= 1
        number = next(self._numbers)
        trial = self._open[number] = self._study.ask(
            {key: _distribution(key, choices) for key, choices in self._space.items()}
        )
        return number, dict(trial.params)

    def tell(self, number: int, value: float | None) -> None:
        """Let Optuna learn from a trial."""
        import optuna

        failed = optuna.trial.TrialState.FAIL
        trial = self._open.pop(number)
        if value is None or math.isnan(value):
            self._study.tell(trial, state=failed)
        else:
            self._study.tell(trial, value)


def grid(space: Mapping[str, Any]) -> tuple[int, Iterator[Params]]:
    """Return how many combinations there are, and all of them in order."""
    choices = {key: _listed(key, value) for key, value in space.items()}
    count = math.prod(map(len, choices.values()))
    return count, (dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values()))


def draws(space: Mapping[str, Any], seed: int) -> Iterator[Params]:
    """Yield random draws without end; the same ones for the same seed, each independent of those before."""
    for number in itertools.count():
        rng = random.Random(f"{seed} {number}")
        yield {key: _draw(key, value, rng) for key, value in space.items()}


def check_space(space: Any, method: str) -> None:
    """Raise InvalidInputError unless `space` can be searched by `method`."""
    if not isinstance(space, Mapping) or not space or not all(isinstance(key, str) for key in space):
        raise InvalidInputError(
            f"sweep: expected a space such as {{'depth': [2, 4, 8]}}, got {space!r:.80}. Name at least one argument of"
            " the function."
        )
    for key, value in space.items():
        if method == "grid":
            _listed(key, value)
        elif method == "random":
            _draw(key, value, random.Random(0))
        else:
            _distribution(key, value)


def _is_range(value: Any) -> bool:
    numbers = value[:2] if isinstance(value, tuple) else ()
    return (
        len(numbers) == 2
        and (len(value) == 2 or (len(value) == 3 and value[2] == LOG))
        and all(isinstance(one, (int, float)) and not isinstance(one, bool) for one in numbers)
    )


def _listed(key: str, value: Any) -> list[Any]:
    if _is_range(value) or isinstance(value, (str, bytes)) or not hasattr(value, "__iter__"):
        raise InvalidInputError(
            f"sweep: {key!r}: a grid needs a list of values, got {value!r:.80}. Give a list, or take method='random'."
        )
    found = list(value)
    if not found:
        raise InvalidInputError(f"sweep: {key!r}: expected at least one value, got none.")
    return found


def _draw(key: str, value: Any, rng: random.Random) -> Any:
    if _is_range(value):
        low, high = value[:2]
        _check_range(key, value)
        if len(value) == 3:
            drawn = math.exp(rng.uniform(math.log(low), math.log(high)))
            return round(drawn) if isinstance(low, int) and isinstance(high, int) else drawn
        return rng.randint(low, high) if isinstance(low, int) and isinstance(high, int) else rng.uniform(low, high)
    if hasattr(value, "rvs"):  # a frozen distribution of scipy
        return value.rvs(random_state=rng.randrange(2**32))
    return rng.choice(_listed(key, value))


def _distribution(key: str, value: Any) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if _is_range(value):
        _check_range(key, value)
        low, high = value[:2]
        kind: Callable[..., Any] = (
            IntDistribution if isinstance(low, int) and isinstance(high, int) else FloatDistribution
        )
        return kind(low, high, log=len(value) == 3)
    return CategoricalDistribution(_listed(key, value))


def _check_range(key: str, value: tuple[Any, ...]) -> None:
    low, high = value[:2]
    if not low < high or not (math.isfinite(low) and math.isfinite(high)) or (len(value) == 3 and low <= 0):
        above = " above 0" if len(value) == 3 else ""
        raise InvalidInputError(f"sweep: {key!r}: expected (low, high) with low < high{above}, got {value!r}.")
