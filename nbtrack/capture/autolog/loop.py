"""Training loops written by hand in PyTorch: one line, and their losses are a live curve."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from nbtrack.capture.autolog.hooks import guarded
from nbtrack.capture.autolog.recorder import recorder_here
from nbtrack.errors import InvalidInputError

if TYPE_CHECKING:
    from nbtrack.capture.autolog.recorder import Recorder

NAME: Final = "pytorch"


class Watching:
    """The hooks of one :func:`watch`; as a context manager they are gone with its block, else with the run.

    Attributes
    ----------
    steps : int
        How many steps of the optimizer were seen.
    """

    def __init__(self, recorder: Recorder, every: int) -> None:
        self.steps = 0
        self._recorder = recorder
        self._every = every
        self._prefix = recorder.training(NAME)
        self._loss: Any = None
        self._held: list[Any] = []
        self._handles: list[Any] = []
        recorder.later[f"{NAME} {recorder.trainings(NAME)}"] = self.close

    def hook(self, model: Any, optimizer: Any, loss: Any) -> None:
        """Look on at what `loss` answers and at the steps of the optimizer."""
        self._handles = [
            loss.register_forward_hook(lambda module, inputs, answer: guarded(NAME, lambda: self._answered(answer))),
            optimizer.register_step_post_hook(lambda *_: guarded(NAME, self._stepped)),
            model.register_forward_pre_hook(lambda *_: guarded(NAME, self._asked)),
        ]

    def _answered(self, answer: Any) -> None:
        import torch

        if not isinstance(answer, torch.Tensor) or answer.numel() != 1:
            return
        if torch.is_grad_enabled():
            self._loss = answer.detach()
        else:
            self._held.append(answer.detach())

    def _asked(self) -> None:
        """A forward pass that learns, after some that did not, ends a validation."""
        import torch

        if self._held and torch.is_grad_enabled():
            self._validated()

    def _validated(self) -> None:
        if self._held and self._prefix is not None:
            mean = sum(float(one) for one in self._held) / len(self._held)
            self._recorder.metrics({f"{self._prefix}val_loss": mean}, max(self.steps - 1, 0))
        self._held.clear()

    def _stepped(self) -> None:
        loss, self._loss = self._loss, None
        if loss is not None and self._prefix is not None and self.steps % self._every == 0:
            self._recorder.metrics({f"{self._prefix}train_loss": float(loss)}, self.steps)
        self.steps += 1

    def close(self) -> None:
        """Take the hooks away, and say what was seen."""
        if not self._handles:
            return
        for handle in self._handles:
            handle.remove()
        self._handles = []
        guarded(NAME, self._validated)
        self._recorder.say(NAME, f"{self.steps} steps")

    def __enter__(self) -> Watching:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def watch(model: Any, optimizer: Any, loss: Any, *, every: int = 1) -> Watching:
    """Log the losses of a training loop that is written by hand, while it runs: one line before the loop.

    ``train_loss`` is logged at each step of the optimizer, ``val_loss`` once after the batches that `loss` was asked
    for without gradients: their mean. Settings of the optimizer become params, and the model is kept when the run ends.

    Parameters
    ----------
    model
        The ``torch.nn.Module`` that is trained.
    optimizer
        The optimizer that trains it.
    loss
        The module that computes the loss, such as ``torch.nn.CrossEntropyLoss()``.
    every
        Log each `every`-th step; reading a loss off a GPU waits for it.

    Returns
    -------
    Watching
        Also a context manager. Without that the hooks are gone when the run ends.

    Raises
    ------
    InvalidInputError
        If one of these is something else.

    Examples
    --------
    >>> nbtrack.pytorch.watch(model, optimizer, loss_fn)  # doctest: +SKIP
    """
    import torch

    from nbtrack.tracking import begin_run

    expected = (
        (model, torch.nn.Module, "model"),
        (loss, torch.nn.Module, "loss"),
        (optimizer, torch.optim.Optimizer, "optimizer"),
    )
    for value, kind, name in expected:
        if not isinstance(value, kind):
            raise InvalidInputError(
                f"pytorch.watch: {name}: expected a torch.{kind.__module__.split('.')[1]}.{kind.__name__}, got"
                f" {type(value).__name__}."
            )
    if every < 1:
        raise InvalidInputError(f"pytorch.watch: every: expected 1 or more, got {every}.")
    recorder = recorder_here()
    if recorder is None:
        begin_run()
        recorder = recorder_here()
    assert recorder is not None  # noqa: S101 - a run is active
    watching = Watching(recorder, every)
    watching.hook(model, optimizer, loss)
    group = optimizer.param_groups[0]
    settings = {key: value for key, value in group.items() if key != "params" and isinstance(value, (bool, int, float))}
    sizes = {"parameters": sum(p.numel() for p in model.parameters())}
    recorder.found_params({"optimizer": type(optimizer).__name__, **settings, **sizes}, NAME)
    recorder.found_model(model)
    return watching
