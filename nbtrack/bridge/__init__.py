"""The way over from MLflow: its folders of runs, read without MLflow."""

from nbtrack.bridge.mlruns import ImportReport, import_mlruns

__all__ = ["ImportReport", "import_mlruns"]
