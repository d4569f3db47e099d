"""Keras 3: losses and metrics after each epoch, what the model was compiled with, the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from nbtrack.capture.autolog.hooks import bound, guarded
from nbtrack.capture.autolog.runs import Watch, started

if TYPE_CHECKING:
    from nbtrack.capture.autolog.hooks import Call, Hooks

NAME: Final = "keras"


def install(hooks: Hooks, keras: Any) -> None:
    """Look on at ``fit`` with a callback of our own."""

    class Epochs(keras.callbacks.Callback):  # type: ignore[misc]
        """Logs what Keras tells after each epoch."""

        def __init__(self, watch: Watch, prefix: str | None) -> None:
            super().__init__()
            self.watch, self.prefix, self.epochs = watch, prefix, 0

        def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
            self.epochs += 1
            if self.prefix is not None:
                values = {f"{self.prefix}{key}": float(value) for key, value in (logs or {}).items()}
                guarded(NAME, lambda: self.watch.recorder.metrics(values, epoch))

    def begin(original: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
        call = bound(original, args, kwargs)
        watch = started(NAME) if call is not None else None
        if call is None or watch is None:
            return None
        given = call.arguments
        epochs = Epochs(watch, watch.recorder.training(NAME))
        model, data = args[0], given.get("x")
        callbacks = given.get("callbacks")
        if isinstance(callbacks, keras.callbacks.CallbackList):
            callbacks.append(epochs)
        else:
            before = callbacks if isinstance(callbacks, (list, tuple)) else [callbacks] if callbacks else []
            given["callbacks"] = [*before, epochs]
        settings = {name: given[name] for name in ("batch_size", "epochs", "validation_split") if given.get(name)}
        watch.recorder.found_params(settings | _compiled(model), NAME)
        watch.what = epochs, model, data, callbacks
        return watch, call.args, call.kwargs

    def end(watch: Watch | None, result: Any, error: BaseException | None) -> None:
        if watch is None:
            return
        epochs, model, data, callbacks = watch.what
        if isinstance(callbacks, keras.callbacks.CallbackList) and epochs in callbacks.callbacks:
            callbacks.callbacks.remove(epochs)
        count, told = watch.recorder.trainings(NAME), f"{epochs.epochs} epoch{'' if epochs.epochs == 1 else 's'}"
        watch.recorder.say(NAME, told if count == 1 else f"{count} trainings, the last of {told}")
        if error is None:
            watch.recorder.found_model(model, data)
        watch.close(error)

    owner = next(cls for cls in keras.Model.__mro__ if "fit" in vars(cls))
    hooks.around(owner, "fit", begin, end)


def _compiled(model: Any) -> dict[str, Any]:
    """Return the optimizer, its settings, and the loss of a model, and how large it is."""
    found: dict[str, Any] = {"weights": int(model.count_params())} if model.built else {}
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None:
        found["optimizer"] = type(optimizer).__name__
        found["learning_rate"] = float(f"{float(optimizer.learning_rate):.6g}")
    loss = getattr(model, "loss", None)
    if isinstance(loss, str) or callable(loss):
        found["loss"] = loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)
    return found
