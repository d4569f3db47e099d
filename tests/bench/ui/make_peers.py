"""Logs the same runs with another tracker: ``PYTHON make_peers.py mlflow|tensorboard|nbtrack FOLDER COUNT``."""

from __future__ import annotations

import random
import sys
from pathlib import Path

PARAMS, METRICS = 10, 5


def runs(count: int) -> list[tuple[str, dict[str, int], dict[str, float]]]:
    """The runs, the same for everybody."""
    rng = random.Random(0)
    return [
        (
            f"sweep-{i}",
            {f"p{k}": rng.randrange(50) for k in range(PARAMS)},
            {f"m{k}_acc": rng.random() for k in range(METRICS)},
        )
        for i in range(count)
    ]


def mlflow(folder: Path, count: int) -> None:
    """Into an SQLite store, MLflow's default."""
    from mlflow.entities import Metric, Param
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    for i, (name, params, metrics) in enumerate(runs(count)):
        run = client.create_run("0", start_time=1_795_000_000_000 + i, run_name=name)
        client.log_batch(
            run.info.run_id,
            [Metric(key, value, 1_795_000_000_000, 0) for key, value in metrics.items()],
            [Param(key, str(value)) for key, value in params.items()],
        )


def tensorboard(folder: Path, count: int) -> None:
    """As hyperparameters of the HParams plugin, a folder a run."""
    from tensorboard.compat.proto import event_pb2, summary_pb2
    from tensorboard.plugins.hparams import summary_v2 as hparams
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    for name, params, metrics in runs(count):
        writer = EventFileWriter(str(folder / name))
        writer.add_event(event_pb2.Event(summary=hparams.hparams_pb(params, name, 1_795_000_000.0), wall_time=1))
        values = [summary_pb2.Summary.Value(tag=key, simple_value=value) for key, value in metrics.items()]
        writer.add_event(event_pb2.Event(summary=summary_pb2.Summary(value=values), step=0, wall_time=1))
        writer.close()


def ours(folder: Path, count: int) -> None:
    """Into a store of ours."""
    from nbtrack.store import open_store

    store = open_store(folder)
    for i, (name, params, metrics) in enumerate(runs(count)):
        writer = store.create_run("0", name, start_time_ms=1_795_000_000_000 + i)
        writer.log_params(params)
        writer.log_metrics(metrics)
        writer.end()


if __name__ == "__main__":
    where = Path(sys.argv[2])
    where.mkdir(parents=True, exist_ok=True)
    {"mlflow": mlflow, "tensorboard": tensorboard, "nbtrack": ours}[sys.argv[1]](where, int(sys.argv[3]))
