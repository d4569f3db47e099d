"""Webhooks, which MLflow keeps in its registry and a store of ours does not."""

from __future__ import annotations

from typing import Any, Final, NoReturn

from mlflow.store.entities.paged_list import PagedList

from nbtrack.bridge.plugin.place import invalid, missing
from nbtrack.bridge.plugin.unkept import NotKept

_MOST: Final = 1000


class NoWebhooks:
    """An answer for each of MLflow's calls about webhooks: there are none, and none can be made."""

    def list_webhooks(self, max_results: int | None = None, page_token: str | None = None) -> PagedList[Any]:
        """Return none: no webhook is ever kept. MLflow's page lists them."""
        if max_results is not None and not 1 <= max_results <= _MOST:
            raise invalid(f"max_results must be between 1 and {_MOST}, got {max_results}.")
        return PagedList([], None)

    def list_webhooks_by_event(self, event: Any, max_results: int | None = None, page_token: str | None = None) -> Any:
        """Return none. MLflow's server asks after every change of the registry."""
        return PagedList([], None)

    def create_webhook(self, *_args: Any, **_options: Any) -> NoReturn:
        """Refuse: there is no place for it."""
        raise NotKept("create_webhook: nbtrack keeps experiments, runs and models, and has no place for this.")

    def get_webhook(self, webhook_id: str, *_args: Any, **_options: Any) -> NoReturn:
        """Say that there is none of this id; so do the three below."""
        raise missing(f"Webhook with ID {webhook_id} not found: nbtrack keeps no webhooks.")

    update_webhook = get_webhook
    delete_webhook = get_webhook
    test_webhook = get_webhook
