"""``nbtrack.sklearn``, ``nbtrack.xgboost`` and so on: what one does with models of one library, under its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pathlib import Path

    from nbtrack.capture.autolog.loop import Watching
    from nbtrack.entities import ModelInfo, Signature
    from nbtrack.tracking import ActiveRun


class Library:
    """One library that autolog knows.

    Attributes
    ----------
    name : str
        What it is called here: ``"xgboost"``.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"<nbtrack.{self.name}>"

    def autolog(self, *, disable: bool = False) -> None:
        """Record what this library trains, in every run from now on; see :func:`nbtrack.autolog`."""
        from nbtrack.capture.autolog import autolog

        autolog(self.name, disable=disable)


class ModelLibrary(Library):
    """One library whose models are logged, saved and loaded.

    Parameters
    ----------
    name
        The flavor: ``"sklearn"``.
    keyword
        Under which name `log_model` and `save_model` take the model, too: ``sk_model=``.
    """

    def __init__(self, name: str, keyword: str) -> None:
        super().__init__(name)
        self._keyword = keyword

    def _model(self, function: str, model: Any, named: dict[str, Any]) -> Any:
        if model is None and self._keyword in named:
            model = named.pop(self._keyword)
        if named:
            raise TypeError(f"nbtrack.{self.name}.{function}() got an unexpected keyword argument {min(named)!r}")
        return model

    def log_model(
        self,
        model: Any = None,
        name: str | None = None,
        *,
        artifact_path: str | None = None,
        signature: Signature | None = None,
        input_example: Any = None,
        registered_model_name: str | None = None,
        run: ActiveRun | None = None,
        training_data: Any = None,
        code_line: str | None = None,
        **named: Any,
    ) -> ModelInfo:
        """Log a fitted model as artifacts of the active run; see :func:`nbtrack.log_model`."""
        from nbtrack.models import saving

        return saving.log_model(
            self._model("log_model", model, named),
            name or artifact_path or "model",
            flavor=self.name,
            signature=signature,
            input_example=input_example,
            registered_model_name=registered_model_name,
            run=run,
            training_data=training_data,
            code_line=code_line,
        )

    def save_model(
        self,
        model: Any = None,
        path: str | Path = "model",
        *,
        signature: Signature | None = None,
        input_example: Any = None,
        training_data: Any = None,
        code_line: str | None = None,
        **named: Any,
    ) -> ModelInfo:
        """Save a fitted model as a folder; see :func:`nbtrack.save_model`."""
        from nbtrack.models import saving

        return saving.save_model(
            self._model("save_model", model, named),
            path,
            flavor=self.name,
            signature=signature,
            input_example=input_example,
            training_data=training_data,
            code_line=code_line,
        )

    def load_model(self, model_uri: str | Path, *, trust: str | None = None) -> Any:
        """Return the model that a URI or folder holds; see :func:`nbtrack.load_model`."""
        from nbtrack.models import loading

        return loading.load_model(model_uri, trust=trust)


class TorchLibrary(ModelLibrary):
    """PyTorch."""

    def watch(self, model: Any, optimizer: Any, loss: Any, *, every: int = 1) -> Watching:
        """Log the losses of a training loop that is written by hand, while it runs.

        One line before the loop: ``train_loss`` at each `every`-th step of the optimizer, ``val_loss`` for what `loss`
        computes without gradients in between. As a context manager it ends with its block, else with the run.
        """
        from nbtrack.capture.autolog.loop import watch

        return watch(model, optimizer, loss, every=every)

    def load_state_dict(self, model_uri: str | Path) -> dict[str, Any]:
        """Return the tensors of a logged module by name, on the CPU.

        Also of a stranger's, for a module whose code one has oneself: ``net.load_state_dict(…)`` takes them.
        """
        from nbtrack.errors import InvalidInputError
        from nbtrack.models import read_model
        from nbtrack.models.flavors.pytorch import NAME, tensors_of

        source = read_model(model_uri)
        if source.manifest.flavor != NAME:
            raise InvalidInputError(
                f"load_state_dict: {source.uri} is no model of PyTorch but one of {source.manifest.flavor}."
            )
        return tensors_of(source.files, source.uri)


sklearn: Final = ModelLibrary("sklearn", "sk_model")
xgboost: Final = ModelLibrary("xgboost", "xgb_model")
lightgbm: Final = ModelLibrary("lightgbm", "lgb_model")
pytorch: Final = TorchLibrary("pytorch", "pytorch_model")
keras: Final = ModelLibrary("keras", "keras_model")
onnx: Final = ModelLibrary("onnx", "onnx_model")
statsmodels: Final = ModelLibrary("statsmodels", "statsmodels_model")
pyfunc: Final = ModelLibrary("pyfunc", "python_model")
lightning: Final = Library("lightning")
optuna: Final = Library("optuna")
