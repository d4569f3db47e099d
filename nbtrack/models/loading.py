"""From a URI to a model in memory: every byte is verified, and the verified bytes are the ones that are loaded."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nbtrack.entities import ModelManifest
from nbtrack.errors import IntegrityError, MissingLibraryError, NbtrackWarning, UntrustedModelError
from nbtrack.models import examples
from nbtrack.models.compiled import COMPILED_NAME, Compiled, NotCovered, as_matrix
from nbtrack.models.environment import Environment, differences, largest_change
from nbtrack.models.files import ModelFiles, read_model
from nbtrack.models.flavors import get_flavor
from nbtrack.models.manifest import EXAMPLE_PREDICTIONS
from nbtrack.models.mlflow_folder import PREDICT_FN
from nbtrack.models.signature import conform

if TYPE_CHECKING:
    from nbtrack.models.flavors import Flavor
    from nbtrack.store.base import Store

# What MLflow may have been told to ask of an estimator.
ASKED: Final = frozenset(
    {"predict_proba", "predict_log_proba", "predict_joint_log_proba", "score", "decision_function"}
)


class Loaded:
    """A model ready to predict, with what its manifest says.

    Attributes
    ----------
    source : ModelFiles
        Its manifest and verified files.
    flavor : Flavor
        The flavor that saved it.
    """

    def __init__(self, source: ModelFiles, trusted: bool) -> None:
        self.source = source
        self.flavor: Flavor = get_flavor(source.manifest.flavor)
        self._trusted = trusted
        self._model: Any = None
        self._compiled: Compiled | None = None
        self._environment: Environment | None = None
        self._lock = threading.RLock()

    @property
    def model(self) -> Any:
        """The model as its own library knows it; unpickled when first asked for.

        Raises
        ------
        UntrustedModelError
            If loading it could run a stranger's code.
        """
        with self._lock:
            if self._model is None:
                self._model = _unpacked(self)
                self._environment = _compare_environment(self)
                _warn(self, self._environment)
            return self._model

    @property
    def environment(self) -> Environment:
        """How this process differs from the one that logged the model, and whether its answers are still the same."""
        self.model  # noqa: B018 - what its own example says is known once it is loaded
        return self._environment or Environment(())

    def ask(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Ask the model itself; MLflow may have been told to ask another method than predict."""
        method = self.manifest.options.get(PREDICT_FN)
        if method is not None and self.flavor.NAME == "sklearn" and str(method) in ASKED:
            return getattr(self._model, str(method))(data)
        return self.flavor.predict(self._model, data, params)

    @property
    def compiled(self) -> Compiled | None:
        """Its compiled predictor, where it has one: exactly the model's own answers without its library."""
        data = self.source.files.get(COMPILED_NAME)
        if self._compiled is None and data is not None:
            self._compiled = Compiled.load(data, self.source.uri)
        return self._compiled

    @property
    def trusted(self) -> bool:
        """Whether the model may run whatever code it brings: it is the user's own, or he said so."""
        return self._trusted

    @property
    def manifest(self) -> ModelManifest:
        """What the model says of itself."""
        return self.source.manifest

    @property
    def input_example(self) -> str | None:
        """The logged input example: the body of a scoring request, as JSON."""
        return self.source.example_text

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Return what the model predicts for `data`, made to fit its signature.

        An array is taken to hold the signature's columns in its order.
        """
        compiled = None if params else self.compiled
        if compiled is None:
            return self._asked(data, params)
        if type(data).__name__ != "ndarray":
            data = conform(data, self.manifest.signature)
        matrix = as_matrix(data)
        if matrix is not None:
            try:
                return compiled.predict(matrix)
            except NotCovered:
                pass
        return self._asked(data, params)

    def _asked(self, data: Any, params: Mapping[str, Any] | None) -> Any:
        self.model  # noqa: B018 - loads it
        return self.ask(conform(data, self.manifest.signature), params)


def load_bundle(model_uri: str | Path, *, store: Store | None = None, trust: str | None = None) -> Loaded:
    """Return a model together with its manifest and, where it has one, its compiled predictor.

    The model itself is unpickled when it is first needed; see :func:`load_model` for what that may raise. Without a
    compiled predictor that is now.
    """
    source = read_model(model_uri, store=store)
    if trust is not None and trust != source.digest:
        raise IntegrityError(
            f"{source.uri}: you trust the model with the digest {str(trust)[:64]!r}, but this one has {source.digest}."
            " Look at what changed, and at who changed it."
        )
    loaded = Loaded(source, source.own or trust is not None)
    if COMPILED_NAME not in source.files:
        loaded.model  # noqa: B018 - a model that cannot be loaded should say so now
    return loaded


def _unpacked(loaded: Loaded) -> Any:
    source = loaded.source
    try:
        return loaded.flavor.load(source.files, source.manifest.options, loaded.trusted, source.uri)
    except MissingLibraryError:
        raise
    except UntrustedModelError as error:
        raise UntrustedModelError(f"{error} The digest to trust is {source.digest!r}.") from None
    except ImportError as error:
        raise MissingLibraryError(
            f"{source.uri}: a library that the model needs is not installed ({error})."
            f" Run: pip install {error.name or ''}".rstrip(),
            name=error.name,
        ) from None


def load_model(model_uri: str | Path, *, store: Store | None = None, trust: str | None = None) -> Any:
    """Return the model that a URI or folder holds, as its own library knows it.

    Every file is verified against its digest. A model that this user logged on this machine is loaded as it is; a
    stranger's only if it consists of nothing but scikit-learn's own estimators and arrays.

    Parameters
    ----------
    model_uri
        ``models:/NAME/VERSION``, ``…/STAGE``, ``…/latest``, ``models:/NAME@ALIAS``, ``runs:/RUN_ID/PATH``, or the
        folder of a saved model.
    store
        The store; the one used now if not given.
    trust
        The digest of a stranger's model (the refusal shows it) that may run whatever code it brings.

    Raises
    ------
    NotFoundError
        If there is no such model.
    IntegrityError
        If a byte of it is not the one that was recorded.
    UntrustedModelError
        If loading it could run a stranger's code; the message names what it would call.
    MissingLibraryError
        If its library is not installed.

    Examples
    --------
    >>> clf = nbtrack.load_model("models:/clf/Production")  # doctest: +SKIP
    """
    return load_bundle(model_uri, store=store, trust=trust).model


def predict(
    model_uri: str | Path, data: Any, *, params: Mapping[str, Any] | None = None, store: Store | None = None
) -> Any:
    """Load a model and return what it predicts for `data`.

    Parameters
    ----------
    model_uri
        As for :func:`load_model`.
    data
        A DataFrame, array, dict of columns or list of records. Columns may come in any order; further ones are left
        out.
    params
        Params of the model, by name.
    store
        The store; the one used now if not given.

    Raises
    ------
    SignatureError
        If a column is missing or of another type; the message names it.
    """
    return load_bundle(model_uri, store=store).predict(data, params)


def _compare_environment(loaded: Loaded) -> Environment:
    """Return what differs here; where that is more than a patch release, also what the input example says to it."""
    found = tuple(differences(loaded.manifest.environment, loaded.flavor.PACKAGE))
    if all(difference.severity == "note" for difference in found):
        return Environment(found)
    example = loaded.source.example
    expected = loaded.manifest.options.get(EXAMPLE_PREDICTIONS)
    if example is None or expected is None:
        return Environment(found)
    try:
        answer = loaded.ask(examples.from_body(example, loaded.manifest.signature))
    except Exception as error:
        return Environment(found, "failed", failure=type(error).__name__)
    here = examples.plain(answer)
    if here == expected:
        return Environment(found, "same")
    return Environment(found, "different", largest_change(expected, here))


def _warn(loaded: Loaded, environment: Environment) -> None:
    if environment.severity == "note":
        return
    told = "; ".join(str(difference) for difference in environment.differences if difference.severity != "note")
    warnings.warn(
        f"{loaded.source.uri}: {told}. {environment.verdict} nbtrack.models.load_bundle(URI).environment lists all.",
        NbtrackWarning,
        stacklevel=5,
    )
