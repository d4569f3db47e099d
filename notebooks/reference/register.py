"""Make the trained model a version, and move it to Staging if it is good enough."""

import sys

import nbtrack

train_run, evaluate_run, model_name = sys.argv[1:4]
found = nbtrack.get_run(evaluate_run).data.metrics

with nbtrack.start_run(run_name="register"):
    version = nbtrack.register_model(f"runs:/{train_run}/model", model_name)
    nbtrack.log_params({"model": model_name, "version": version.version})
    if found["roc_auc"] >= 0.97:
        nbtrack.promote(model_name, version.version, "Staging", note=f"ROC AUC {found['roc_auc']:.4f}")
        print(f"{model_name} v{version.version} is in Staging")
    else:
        print(f"{model_name} v{version.version} is registered; ROC AUC {found['roc_auc']:.4f} is below 0.97")
