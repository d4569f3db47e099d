"""Typed requests and answers between the user interface and the store, and the function that answers them."""

from nbtrack.wire.answer import answer, answer_json, failure
from nbtrack.wire.messages import AnyRequest
from nbtrack.wire.page import report

__all__ = ["AnyRequest", "answer", "answer_json", "failure", "report"]
