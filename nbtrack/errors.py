"""The exceptions nbtrack raises.

::

    NbtrackError
    ├── InvalidInputError      (ValueError)       an argument, name, filter or file is not acceptable
    │   ├── InvalidNameError                      a name, key, path or URI breaks its grammar
    │   ├── FilterSyntaxError                     a search filter or order cannot be read
    │   └── SignatureError                        data does not fit a model's signature
    ├── NotFoundError          (LookupError)      what was asked for does not exist
    ├── AlreadyExistsError     (ValueError)       what was to be created is there already
    ├── ConflictError          (RuntimeError)     somebody else was faster
    ├── GateError              (RuntimeError)     a gate refuses a promotion
    ├── RunStateError          (RuntimeError)     the run is not in a state that allows this
    ├── StoreError             (OSError)          the store folder cannot be used
    │   ├── StoreNotFoundError                    it does not exist, or is not a store
    │   ├── StoreFormatError                      it was written by a newer nbtrack
    │   ├── StoreReadOnlyError                    it may be read but not written
    │   └── StoreFullError                        the disk has no room left
    ├── IntegrityError         (ValueError)       bytes are not the ones that were recorded
    ├── UntrustedModelError    (PermissionError)  loading could run a stranger's code
    ├── MissingLibraryError    (ImportError)      an optional library is not installed
    ├── ServingError           (RuntimeError)     a model server could not start, or stopped
    │   └── PortInUseError                        something else listens there
    ├── NotebookError          (RuntimeError)     a notebook could not be executed
    └── PipelineError          (RuntimeError)     a program could not be run as a step or an entry point
    NbtrackWarning             (UserWarning)
    ├── CaptureWarning                            something could not be captured; the user's code went on
    └── DamageWarning                             a record in the store is damaged and was left out

Messages read: *where: what is wrong; expected X, got Y. What to do.* Values in them are shown with ``!r``.
"""

from __future__ import annotations


class NbtrackError(Exception):
    """Base of every exception that nbtrack raises on purpose."""

    def _render_traceback_(self) -> list[str]:
        """Return what a notebook shows: the user's own lines and the message, without the frames inside nbtrack."""
        import traceback
        from os import sep

        own = __file__.removesuffix("errors.py")
        library = traceback.__file__.removesuffix("traceback.py")  # context managers and the like: nobody's own lines
        frames = traceback.extract_tb(self.__traceback__)
        shell = [i for i, frame in enumerate(frames) if f"{sep}IPython{sep}" in frame.filename]
        lines = [f"{type(self).__name__}: {self}"]
        for frame in frames[shell[-1] + 1 if shell else 0 :]:
            of_library = frame.filename.startswith(library) and "site-packages" not in frame.filename
            if not frame.filename.startswith(own) and not of_library:
                cell = frame.filename.startswith("<") or "ipykernel_" in frame.filename
                place = "this cell" if cell and frame.name == "<module>" else frame.name if cell else frame.filename
                lines.append(f"  in {place}, line {frame.lineno}: {frame.line}")
        return lines


class InvalidInputError(NbtrackError, ValueError):
    """An argument, name, filter or file is not acceptable."""


class InvalidNameError(InvalidInputError):
    """A name, key, artifact path or URI breaks its grammar."""


class FilterSyntaxError(InvalidInputError):
    """A search filter or an ``order_by`` clause cannot be read."""


class SignatureError(InvalidInputError):
    """Data does not fit a model's signature."""


class NotFoundError(NbtrackError, LookupError):
    """What was asked for does not exist."""


class AlreadyExistsError(NbtrackError, ValueError):
    """What was to be created is there already."""


class ConflictError(NbtrackError, RuntimeError):
    """Somebody else changed the same thing first."""


class GateError(NbtrackError, RuntimeError):
    """A gate refuses a promotion."""


class RunStateError(NbtrackError, RuntimeError):
    """The run is not in a state that allows what was asked."""


class StoreError(NbtrackError, OSError):
    """The store folder cannot be used."""


class StoreNotFoundError(StoreError):
    """The store does not exist, or the path is not a store."""


class StoreFormatError(StoreError):
    """The store was written by a newer nbtrack."""


class StoreReadOnlyError(StoreError):
    """The store may be read but not written."""


class StoreFullError(StoreError):
    """The disk that holds the store has no room left."""


class IntegrityError(NbtrackError, ValueError):
    """Bytes are not the ones that were recorded."""


class UntrustedModelError(NbtrackError, PermissionError):
    """Loading this model could run a stranger's code."""


class MissingLibraryError(NbtrackError, ImportError):
    """An optional library is not installed."""


class ServingError(NbtrackError, RuntimeError):
    """A model server could not start, or stopped."""


class PortInUseError(ServingError):
    """Something else listens on the port that was asked for."""


class NotebookError(NbtrackError, RuntimeError):
    """A notebook could not be executed."""


class PipelineError(NbtrackError, RuntimeError):
    """A program could not be run as a step or an entry point."""


class NbtrackWarning(UserWarning):
    """Base of every warning that nbtrack gives."""


class CaptureWarning(NbtrackWarning):
    """Something could not be captured; the user's code went on."""


class DamageWarning(NbtrackWarning):
    """A record in the store is damaged and was left out, or cannot be vouched for; everything else was read."""
