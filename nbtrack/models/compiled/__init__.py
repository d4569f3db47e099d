"""Compiled predictors: a model as plain arrays, which answers exactly as scikit-learn does, without scikit-learn.

A compiled predictor is written beside the pickle when the model consists of steps known here *and* gives bit for bit
the same labels, numbers and probabilities on inputs made to find a difference. It loads in milliseconds, under any
version of any library, and holds no code, so a stranger's is as safe as one's own. Whatever it does not cover at run
time (missing values, infinities, other types) it hands back by raising `NotCovered`, and the model itself is asked.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from nbtrack.errors import IntegrityError
from nbtrack.models.compiled.steps import NotCovered, OnTrees, Program, runner

if TYPE_CHECKING:
    import numpy as np

COMPILED_NAME: Final = "compiled.npz"
_PROGRAM: Final = "program"
_ROOM_BYTES: Final = 64 << 20  # unpacked, any file may have so much
_MOST_TIMES: Final = 50  # and a larger one so many times its own size
_EXACT: Final = float(2**53)  # whole numbers up to here are the same as integers and as doubles

__all__ = ["COMPILED_NAME", "Compiled", "NotCovered", "agrees_on", "as_matrix", "compile_model"]


def as_matrix(data: Any) -> Any:
    """Return a frame, array or list of rows of numbers as an array; None if it is something else."""
    import numpy as np

    if hasattr(data, "to_numpy") and hasattr(data, "dtypes"):
        kinds = {getattr(dtype, "kind", "O") for dtype in data.dtypes}
        if not kinds <= set("iubf") or any(str(dtype) in {"float16", "float32"} for dtype in data.dtypes):
            return None
        if any(not isinstance(dtype, np.dtype) for dtype in data.dtypes):
            return None
        return data.to_numpy(dtype=np.float64)
    if isinstance(data, (list, tuple)):
        try:
            data = np.array(data)
        except ValueError:
            return None
    return data if isinstance(data, np.ndarray) and data.ndim == 2 and data.dtype.kind in "iubf" else None


def compile_model(model: Any) -> bytes | None:
    """Return a fitted estimator as the bytes of a compiled predictor; None where it is not covered or not exact."""
    from nbtrack.models.compiled.build import build
    from nbtrack.models.compiled.check import agrees

    program = build(model)
    if program is None:
        return None
    data = _dump(program)
    return data if agrees(model, Compiled.load(data, "compile"), program) else None


def agrees_on(compiled: Compiled, data: Any, predicted: Any) -> bool:
    """Return whether a compiled predictor gives `predicted` for `data`, or leaves it to the model."""
    from nbtrack.models.compiled.check import agrees_on as agrees

    return agrees(compiled, data, predicted)


def _dump(program: Program) -> bytes:
    import numpy as np

    header = {
        "version": 1,
        "width": program.width,
        "steps": [{"op": step.op, "settings": step.settings, "arrays": sorted(step.arrays)} for step in program.steps],
    }
    arrays = {f"{i}.{name}": a for i, step in enumerate(program.steps) for name, a in step.arrays.items()}
    arrays[_PROGRAM] = np.frombuffer(json.dumps(header).encode(), dtype=np.uint8)
    buffer = io.BytesIO()
    # an .npz as numpy writes it, but at zlib's quickest level: five times as fast, and a tenth larger
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
    return buffer.getvalue()


@dataclass(frozen=True, slots=True)
class Compiled:
    """A predictor made of arrays alone.

    `width` is the number of its input columns; `proba` says whether it gives probabilities, too.
    """

    width: int
    proba: bool
    _transforms: tuple[Any, ...]
    _final: Any

    @classmethod
    def load(cls, data: bytes, what: str) -> Compiled:
        """Return the predictor that a file holds.

        Parameters
        ----------
        data
            Its bytes.
        what
            Which model it is, for messages.

        Raises
        ------
        IntegrityError
            If it is no predictor, or one whose parts do not fit together.
        """
        try:
            header, arrays = _read(data)
            if header["version"] != 1:
                raise ValueError(f"it has version {header['version']}, this nbtrack knows version 1")
            width = int(header["width"])
            *transforms, final = [
                runner(step["op"], step["settings"], {n: arrays[f"{i}.{n}"] for n in step["arrays"]}, width)
                for i, step in enumerate(header["steps"])
            ]
        except Exception as error:  # a stranger's file may break anywhere
            raise IntegrityError(
                f"{what}: its {COMPILED_NAME} cannot be read ({type(error).__name__}: {error}). Log the model again."
            ) from None
        return cls(width, hasattr(final, "proba"), tuple(transforms), final)

    def predict(self, data: Any) -> np.ndarray[Any, Any]:
        """Return what the model's own ``predict`` returns for an array of shape (rows, width).

        Raises
        ------
        NotCovered
            If the model itself must be asked.
        """
        result: np.ndarray[Any, Any] = self._final.predict(self._prepared(data))
        return result

    def predict_proba(self, data: Any) -> np.ndarray[Any, Any]:
        """Return what the model's own ``predict_proba`` returns; see :meth:`predict`."""
        if not self.proba:
            raise NotCovered("no probabilities")
        result: np.ndarray[Any, Any] = self._final.proba(self._prepared(data))
        return result

    def _prepared(self, data: Any) -> np.ndarray[Any, Any]:
        import numpy as np

        matrix = np.asarray(data)
        if matrix.ndim != 2 or matrix.shape[1] != self.width or not len(matrix):
            raise NotCovered("shape")
        if matrix.dtype != np.float64:
            single = matrix.dtype == np.float32 and not self._transforms and isinstance(self._final, OnTrees)
            if not single and (matrix.dtype.kind not in "iub" or abs(matrix.astype(np.float64)).max() > _EXACT):
                raise NotCovered("type")
            matrix = matrix.astype(np.float64)
        for transform in self._transforms:
            matrix = transform.transform(matrix)
        if not np.isfinite(matrix).all():
            raise NotCovered("missing or infinite values")
        return matrix


def _read(data: bytes) -> tuple[dict[str, Any], Mapping[str, Any]]:
    import numpy as np

    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
        if unpacked > max(_ROOM_BYTES, _MOST_TIMES * len(data)):
            raise ValueError(f"it unpacks to {unpacked:,} bytes, far more than arrays do")
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    header = json.loads(arrays[_PROGRAM].tobytes())
    return header, arrays
