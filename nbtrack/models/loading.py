"""From a URI to a model in memory: every byte is verified, and the verified bytes are the ones that are loaded."""

from __future__ import annotations

import hmac
import os
import threading
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import msgspec

from nbtrack.entities import MANIFEST_NAME, ModelManifest, ModelVersion
from nbtrack.errors import (
    IntegrityError,
    InvalidInputError,
    MissingLibraryError,
    NbtrackWarning,
    NotFoundError,
    UntrustedModelError,
)
from nbtrack.models import examples, trust
from nbtrack.models.compiled import COMPILED_NAME, Compiled, NotCovered, as_matrix
from nbtrack.models.environment import differences
from nbtrack.models.flavors import get_flavor
from nbtrack.models.manifest import EXAMPLE_PREDICTIONS, from_json
from nbtrack.models.signature import conform
from nbtrack.names import RunURI, check_artifact_path, parse_model_uri

if TYPE_CHECKING:
    from collections.abc import Callable

    from nbtrack.models.flavors import Flavor
    from nbtrack.store.base import Store


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A model's manifest and verified files.

    `digest` is the sha256 of the manifest, and so of everything that it vouches for; `own` says whether this user
    wrote it on this machine; `version` is set if a ``models:/`` URI was asked for.
    """

    uri: str
    manifest: ModelManifest
    digest: str
    own: bool
    files: Mapping[str, bytes] = field(repr=False)
    version: ModelVersion | None = None

    @property
    def example(self) -> dict[str, Any] | None:
        """The logged input example: the body of a scoring request."""
        text = self.example_text
        return None if text is None else msgspec.json.decode(text, type=dict[str, Any])

    @property
    def example_text(self) -> str | None:
        """The same as it is written."""
        name = self.manifest.input_example
        return None if name is None else self.files[name].decode()


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
        self._lock = threading.Lock()

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
                _compare_environment(self)
            return self._model

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
            return self.flavor.predict(self.model, conform(data, self.manifest.signature), params)
        if type(data).__name__ != "ndarray":
            data = conform(data, self.manifest.signature)
        matrix = as_matrix(data)
        if matrix is not None:
            try:
                return compiled.predict(matrix)
            except NotCovered:
                pass
        return self.flavor.predict(self.model, conform(data, self.manifest.signature), params)


def read_model(model_uri: str | Path, *, store: Store | None = None) -> ModelFiles:
    """Return a model's manifest and files, each verified against its digest; nothing of it is run.

    Parameters
    ----------
    model_uri
        ``models:/NAME/VERSION``, ``…/STAGE``, ``…/latest``, ``models:/NAME@ALIAS``, ``runs:/RUN_ID/PATH``, or the
        folder of a saved model.
    store
        The store; the one used now if not given.

    Raises
    ------
    NotFoundError
        If there is no such model.
    IntegrityError
        If a byte of it is not the one that was recorded.
    """
    text = str(model_uri)
    if not text.startswith(("runs:/", "models:/")):
        return _read_folder(_folder_of(model_uri))
    if store is None:
        from nbtrack.tracking import get_store

        store = get_store()
    from nbtrack.registry import resolve

    found = resolve(text, store=store)
    version = found if isinstance(found, ModelVersion) else None
    if isinstance(found, ModelVersion):
        source = parse_model_uri(found.source)
        if not isinstance(source, RunURI):
            raise IntegrityError(f"{text}: its version names no run but {found.source[:80]!r}. Register it again.")
        found = source
    return _read_run(text, found, version, store)


def _read_run(text: str, uri: RunURI, version: ModelVersion | None, store: Store) -> ModelFiles:
    artifacts = store.get_run(uri.run_id).artifacts
    record = artifacts.get(f"{uri.path}/{MANIFEST_NAME}")
    if record is None:
        from nbtrack.registry import logged_models

        known = ", ".join(repr(path) for path in logged_models(store.get_run(uri.run_id))) or "none"
        raise NotFoundError(
            f"{text}: there is no model at {uri.path!r} in the run {uri.run_id}; the run logged these models: {known}."
        )
    if version is not None and version.digest and version.digest != record.digest:
        raise IntegrityError(
            f"{text}: the model in the run {uri.run_id} is not the one that was registered; expected the manifest"
            f" {version.digest[:12]}…, got {record.digest[:12]}…. It was logged again since: register it anew."
        )
    raw = store.read_blob(record.digest)

    def read(name: str) -> bytes:
        artifact = artifacts.get(f"{uri.path}/{name}")
        if artifact is None:
            raise IntegrityError(f"{text}: its file {name!r} is missing. Log the model again.")
        return store.read_blob(artifact.digest)

    return _verified(text, raw, read, version)


def _folder_of(model_uri: str | Path) -> Path:
    text = str(model_uri)
    if text.startswith("file:"):
        return Path(unquote(urlsplit(text).path))
    if "://" in text or "\x00" in text:
        raise InvalidInputError(
            f"model URI: expected models:/NAME/VERSION, runs:/RUN_ID/PATH or a folder, got {text[:80]!r}."
        )
    return Path(text)


def _read_folder(folder: Path) -> ModelFiles:
    manifest = folder / MANIFEST_NAME
    if not manifest.is_file():
        raise NotFoundError(
            f"model {str(folder)!r}: expected a folder that holds {MANIFEST_NAME}, and there is none. Models are also"
            " named models:/NAME/VERSION or runs:/RUN_ID/PATH."
        )

    def read(name: str) -> bytes:
        return _read_plain(folder, name)

    return _verified(str(folder), _read_plain(folder, MANIFEST_NAME), read, None)


def _read_plain(folder: Path, name: str) -> bytes:
    """Read a file under `folder`, following no link out of it."""
    path = folder / check_artifact_path(name)
    try:
        if not path.resolve(strict=True).is_relative_to(folder.resolve(strict=True)):
            raise IntegrityError(f"model {str(folder)!r}: its file {name!r} is a link that leads outside. Remove it.")
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0))
    except OSError as error:
        raise IntegrityError(f"model {str(folder)!r}: its file {name!r} cannot be read ({error.strerror}).") from None
    with os.fdopen(fd, "rb") as file:
        return file.read()


def _verified(text: str, raw: bytes, read: Callable[[str], bytes], version: ModelVersion | None) -> ModelFiles:
    manifest = from_json(raw, text)
    files = {}
    for name, (digest, size) in manifest.files.items():
        data = read(check_artifact_path(name))
        if len(data) != size or not hmac.compare_digest(sha256(data).hexdigest(), digest):
            raise IntegrityError(
                f"{text}: the bytes of its file {name!r} are not the ones that were recorded (sha256 {digest[:12]}…)."
                " Somebody changed it; log or copy the model again."
            )
        files[name] = data
    return ModelFiles(text, manifest, sha256(raw).hexdigest(), trust.is_own(raw), files, version)


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


def _compare_environment(loaded: Loaded) -> None:
    """Warn where another version of the library was at work; and say whether it makes a difference for the example."""
    found = [d for d in differences(loaded.manifest.environment, loaded.flavor.PACKAGE) if d.severity != "note"]
    if not found:
        return
    warnings.warn(
        f"{loaded.source.uri}: {'; '.join(map(str, found))}. {_rescored(loaded)}", NbtrackWarning, stacklevel=4
    )


def _rescored(loaded: Loaded) -> str:
    example = loaded.source.example
    expected = loaded.manifest.options.get(EXAMPLE_PREDICTIONS)
    if example is None or expected is None:
        return "It has no input example to compare predictions on; check them yourself."
    try:
        data = examples.from_body(example, loaded.manifest.signature)
        same = examples.plain(loaded.flavor.predict(loaded._model, data)) == expected
    except Exception as error:
        return f"It fails on its own input example ({type(error).__name__}): install the versions it was made with."
    if same:
        return "Its predictions for the input example are the same as then."
    return "Its predictions for the input example DIFFER: install the versions it was made with."
