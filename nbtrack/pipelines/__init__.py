"""Pipelines: functions as steps, each a run of its own under one parent run; and sweeps over the params of one."""

from nbtrack.pipelines.results import PipelineResult, StepResult
from nbtrack.pipelines.steps import run_pipeline, step
from nbtrack.pipelines.sweeping import SweepResult, Trial, sweep

__all__ = ["PipelineResult", "StepResult", "SweepResult", "Trial", "run_pipeline", "step", "sweep"]
