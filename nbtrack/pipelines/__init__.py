"""Pipelines: functions as steps, each a run of its own under one parent run."""

from nbtrack.pipelines.steps import PipelineResult, run_pipeline, step

__all__ = ["PipelineResult", "run_pipeline", "step"]
