"""PyTorch Lightning: whatever a module logs, while it trains; its hyperparameters, optimizer, and the module itself."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any, Final

from nbtrack.capture.autolog.hooks import guarded
from nbtrack.capture.autolog.runs import Watch, started

if TYPE_CHECKING:
    from nbtrack.capture.autolog.hooks import Call, Hooks

NAME: Final = "lightning"


def install(hooks: Hooks, library: Any) -> None:
    """Look on at ``Trainer.fit`` with a callback of our own, which is gone when it returns."""
    package = "lightning.pytorch" if library.__name__ == "lightning" else "pytorch_lightning"
    lightning = sys.modules[package]

    class Logged(lightning.Callback):  # type: ignore[name-defined,misc]
        """Logs what the module has logged, at the trainer's own steps."""

        def __init__(self, watch: Watch, prefix: str | None) -> None:
            self.watch, self.prefix = watch, prefix
            self.seen: dict[str, int] = {}
            self.of_steps: set[str] = set()  # keys that the training steps log, not the validation
            self.of_validation: set[str] | None = None

        def _log(self, trainer: Any, values: dict[str, Any]) -> None:
            if self.prefix is None or trainer.sanity_checking or not trainer.is_global_zero:
                return
            step = int(trainer.global_step)
            new = {}
            for key, value in values.items():
                number = float(value)
                if self.seen.get(key) != step and not math.isnan(number):
                    self.seen[key] = step
                    new[f"{self.prefix}{key}"] = number
            guarded(NAME, lambda: self.watch.recorder.metrics(new, step))

        def _step_over(self, trainer: Any) -> None:
            if self.of_validation is None:  # what a validation logs stays where it is for the steps after it
                self.of_steps.update(trainer.callback_metrics)
            if trainer.log_every_n_steps and trainer.global_step % trainer.log_every_n_steps == 0:
                self._log(trainer, {key: v for key, v in trainer.logged_metrics.items() if key in self.of_steps})

        def _validated(self, trainer: Any) -> None:
            values = _epoch(trainer)
            if self.of_validation is None:
                self.of_validation = set(values) - self.of_steps
            self._log(trainer, {key: value for key, value in values.items() if key in self.of_validation})

        def _epoch_over(self, trainer: Any) -> None:
            not_mine = self.of_validation or set()
            self._log(trainer, {key: value for key, value in _epoch(trainer).items() if key not in not_mine})

        def on_train_start(self, trainer: Any, module: Any) -> None:
            guarded(NAME, lambda: self.watch.recorder.found_params(_optimizers(trainer), NAME))

        def on_train_batch_end(self, trainer: Any, module: Any, *args: Any) -> None:
            guarded(NAME, lambda: self._step_over(trainer))

        def on_validation_end(self, trainer: Any, module: Any) -> None:
            if not trainer.sanity_checking:
                guarded(NAME, lambda: self._validated(trainer))

        def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
            guarded(NAME, lambda: self._epoch_over(trainer))

    def begin(original: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
        if (watch := started(NAME)) is None:
            return None
        trainer, module = args[0], args[1] if len(args) > 1 else kwargs.get("model")
        logged = Logged(watch, watch.recorder.training(NAME))
        trainer.callbacks.insert(0, logged)
        params = {"max_epochs": trainer.max_epochs, "module": type(module).__name__}
        watch.recorder.found_params(dict(getattr(module, "hparams", {})) | params, NAME)
        watch.what = trainer, module, logged
        return watch, args, kwargs

    def end(watch: Watch | None, result: Any, error: BaseException | None) -> None:
        if watch is None:
            return
        trainer, module, logged = watch.what
        trainer.callbacks.remove(logged)
        watch.recorder.say(NAME, f"{trainer.current_epoch} epochs, {trainer.global_step} steps")
        if error is None:
            watch.recorder.found_model(module)
        watch.close(error)

    hooks.around(lightning.Trainer, "fit", begin, end)


def _epoch(trainer: Any) -> dict[str, Any]:
    """Return what was logged for an epoch as a whole."""
    return {key: value for key, value in trainer.callback_metrics.items() if not key.endswith("_step")}


def _optimizers(trainer: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for i, optimizer in enumerate(trainer.optimizers):
        number = "" if i == 0 else str(i + 1)
        found[f"optimizer{number}"] = type(optimizer).__name__
        found[f"learning_rate{number}"] = optimizer.param_groups[0].get("initial_lr", optimizer.param_groups[0]["lr"])
    return found
