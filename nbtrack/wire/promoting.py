"""Answers the requests about registered models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from nbtrack import registry
from nbtrack.entities import MANIFEST_NAME, ModelVersion, RegisteredModel, Run
from nbtrack.errors import InvalidInputError
from nbtrack.names import STAGES
from nbtrack.store.base import Store
from nbtrack.wire import messages
from nbtrack.wire import registered as m
from nbtrack.wire.base import number


# -- reading -----------------------------------------------------------------------------------------------------------
def logged_models(store: Store, run: Run) -> list[m.LoggedModel]:
    folders = registry.logged_models(run)
    made: dict[str, list[ModelVersion]] = {}
    if folders:
        for model in registry.list_models(store=store):
            for version in model.versions:
                if version.run_id == run.run_id and not version.deleted:
                    path = version.source.removeprefix(f"runs:/{run.run_id}/")
                    made.setdefault(path, []).append(version)
    logged = []
    for folder in folders:
        flavor, model_class = "mlflow", ""
        if record := run.artifacts.get(f"{folder}/{MANIFEST_NAME}"):
            manifest = msgspec.json.decode(store.read_blob(record.digest), type=dict[str, Any])
            flavor, model_class = str(manifest.get("flavor", "")), str(manifest.get("model_class", ""))
        versions = sorted(made.get(folder, []), key=lambda v: (v.creation_timestamp, v.version), reverse=True)
        logged.append(
            m.LoggedModel(
                artifact_path=folder,
                flavor=flavor,
                model_class=model_class,
                size_bytes=sum(a.size_bytes for path, a in run.artifacts.items() if path.startswith(f"{folder}/")),
                versions=[(v.name, v.version, v.current_stage) for v in versions],
            )
        )
    return logged


def _version(version: ModelVersion, names: dict[str, str]) -> m.Version:
    return m.Version(
        version=version.version,
        stage=version.current_stage,
        aliases=list(version.aliases),
        run_id=version.run_id,
        run_name=names.get(version.run_id or "", ""),
        flavor=version.flavor,
        description=version.description,
        metrics={key: number(value) for key, value in version.metrics.items()},
        created_at=version.creation_timestamp,
        user=version.user_id,
        code_line=version.tags.get(registry.TAG_LINE, ""),
        approvals={person: list(stages) for person, stages in version.approvals.items()},
    )


def _decisions(model: RegisteredModel) -> list[m.Decision]:
    return [
        m.Decision(
            environment="" if environment == registry.ANY_ENVIRONMENT else environment,
            policy=str(record.get("policy", "")),
            metric=str(record.get("metric", "")),
            dataset=str(record.get("dataset", "")),
            best=int(record.get("best", 0)),
            scores={str(key): number(float(value)) for key, value in record.get("scores", {}).items()},
            refused={str(key): str(value) for key, value in record.get("refused", {}).items()},
            comparable=record.get("comparable") is not False,
        )
        for environment, record in sorted(model.decisions.items())
    ]


def _run_names(store: Store, versions: Sequence[ModelVersion]) -> dict[str, str]:
    wanted = sorted({version.run_id for version in versions if version.run_id})
    if not wanted:
        return {}
    table = store.run_table(run_ids=wanted, view="ALL", keys=[])
    names = next(column.values for column in table.columns if column.key == "run_name")
    return dict(zip(table.run_ids, names, strict=True))


def list_models(store: Store, request: m.ListModels) -> m.Models:
    models = registry.list_models(store=store)
    names = _run_names(store, [version for model in models for version in model.versions])
    return m.Models(
        models=[
            m.Model(
                name=model.name,
                description=model.description,
                versions=[_version(v, names) for v in model.versions if not v.deleted],
                last_commit=registry.last_commit(model.name, store=store),
                stages=list(model.stages),
                gates={stage: list(gates) for stage, gates in model.gates.items()},
                decisions=_decisions(model),
                trash=[v.version for v in model.versions if v.deleted],
            )
            for model in models
        ],
        stages=list(STAGES),
    )


def _moves(changes: Sequence[Any]) -> list[m.Change]:
    return [m.Change(int(c["version"]), str(c["from"]), str(c["to"])) for c in changes]


def get_history(store: Store, request: m.GetHistory) -> m.History:
    blockers = registry.undo_blockers(request.name, store=store)
    return m.History(
        name=request.name,
        commits=[
            m.CommitEntry(
                number=commit.number,
                action=commit.action,
                at=commit.at_ms,
                user=commit.user,
                note=commit.note,
                changes=_moves(commit.changes),
                text=registry.describe(commit),
                blocked_by=blockers.get(commit.number),
            )
            for commit in registry.history(request.name, store=store)
        ],
    )


def diff_versions(store: Store, request: m.DiffVersions) -> m.VersionDiff:
    found = registry.diff_versions(request.name, request.a, request.b, store=store)
    return m.VersionDiff(
        name=request.name,
        a=request.a,
        b=request.b,
        differences=[m.VersionDifference(one.kind, one.key, one.a, one.b) for one in found],
    )


# -- changing ----------------------------------------------------------------------------------------------------------
def register(store: Store, request: m.Register) -> m.Registered:
    path = request.artifact_path
    if path is None:
        logged = registry.logged_models(store.get_run(request.run_id))
        if len(logged) != 1:
            found = ", ".join(repr(one) for one in logged) or "none"
            raise InvalidInputError(
                f"register: the run {request.run_id} logged {len(logged)} models ({found}); expected exactly one, or"
                " artifact_path to say which. Log a model in the run, or name one of these."
            )
        path = logged[0]
    made = registry.register_model(f"runs:/{request.run_id}/{path}", request.name, store=store)
    return m.Registered(made.name, made.version, registry.last_commit(made.name, store=store))


def _promoted(promotion: registry.Promotion, preview: bool, formers: list[str]) -> m.Promoted:
    return m.Promoted(
        name=promotion.name,
        preview=preview,
        last_commit=promotion.expect,
        changes=_moves(promotion.changes),
        text=promotion.text,
        gates=[m.Gate(gate.gate, gate.passed, gate.found, gate.asked) for gate in promotion.gates],
        refused=bool(promotion.refusals),
        formers=formers,
    )


def promote(store: Store, request: m.Promote) -> m.Promoted:
    act = registry.preview_promotion if request.preview else registry.promote
    promotion = act(
        request.name,
        request.version,
        request.stage,
        note=request.note or None,
        expect=request.expect,
        former=request.former,
        store=store,
    )
    return _promoted(promotion, request.preview, registry.formers(request.name, request.stage, store=store))


def undo(store: Store, request: m.Undo) -> m.Promoted:
    done = registry.undo(request.name, commit=request.commit, expect=request.expect, store=store)
    return _promoted(done, False, [])


def approve(store: Store, request: m.Approve) -> m.Version:
    made = registry.approve(
        request.name,
        request.version,
        request.stage,
        withdraw=request.withdraw,
        note=request.note or None,
        store=store,
    )
    return _version(made, {})


def set_gates(store: Store, request: m.SetGates) -> m.Rules:
    model = registry.set_gates(request.name, request.stage, request.gates, store=store)
    return m.Rules(model.name, {stage: list(gates) for stage, gates in model.gates.items()})


def edit_version(store: Store, request: m.EditVersion) -> messages.Done:
    if request.description is not None:
        registry.edit_version(request.name, request.version, description=request.description, store=store)
    if request.deleted is not None:
        act = registry.delete_version if request.deleted else registry.restore_version
        act(request.name, request.version, store=store)
        return messages.Done("Moved to the trash" if request.deleted else "Restored")
    return messages.Done("Saved")
