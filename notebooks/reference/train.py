"""Train boosted trees; autolog keeps params, curves and the model. What evaluation needs are the saved predictions."""

import sys

import nbtrack
import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from xgboost import XGBClassifier

max_depth, learning_rate, rounds = (float(word) for word in sys.argv[1:4])

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=7)

nbtrack.xgboost.autolog()
with nbtrack.start_run(run_name="train"):
    nbtrack.log_input(X_train.assign(target=y_train), context="training", name="breast cancer")
    model = XGBClassifier(
        n_estimators=int(rounds), max_depth=int(max_depth), learning_rate=learning_rate, eval_metric="logloss"
    )
    model.fit(X_train, y_train, eval_set=[(X_test, y_test)], verbose=False)
    saved = {"truth": y_test, "prediction": model.predict(X_test), "probability": model.predict_proba(X_test)[:, 1]}
    nbtrack.log_table(pd.DataFrame(saved).astype(float), "predictions.json")
