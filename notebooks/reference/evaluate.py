"""Ten metrics of a classifier, from the predictions that its training saved."""

import sys

import nbtrack
from sklearn import metrics

train_run = sys.argv[1]
saved = nbtrack.load_table(f"runs:/{train_run}/predictions.json")
truth, prediction, probability = saved["truth"], saved["prediction"], saved["probability"]

with nbtrack.start_run(run_name="evaluate"):
    nbtrack.set_tag("train_run", train_run)
    nbtrack.log_metrics(
        {
            "accuracy": metrics.accuracy_score(truth, prediction),
            "balanced_accuracy": metrics.balanced_accuracy_score(truth, prediction),
            "precision": metrics.precision_score(truth, prediction),
            "recall": metrics.recall_score(truth, prediction),
            "f1": metrics.f1_score(truth, prediction),
            "matthews_corrcoef": metrics.matthews_corrcoef(truth, prediction),
            "roc_auc": metrics.roc_auc_score(truth, probability),
            "average_precision": metrics.average_precision_score(truth, probability),
            "log_loss": metrics.log_loss(truth, probability),
            "brier_score": metrics.brier_score_loss(truth, probability),
        }
    )
