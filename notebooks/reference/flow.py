"""The three entry points one after the other, as children of one run; each gets the runs before it by their ids."""

import sys

import nbtrack

max_depth, learning_rate, rounds, model_name = sys.argv[1:5]
options = {"max_depth": max_depth, "learning_rate": learning_rate, "rounds": rounds}


def run(entry_point, **parameters):
    """Run one entry point; stop the flow where it fails."""
    done = nbtrack.run_project(".", entry_point, parameters)
    if done.exit_code:
        print(nbtrack.get_run(done.run_id).capture["stdout"])
        sys.exit(1)
    return done.run_id


with nbtrack.start_run(run_name="flow"):
    trained = run("train", **options)
    evaluated = run("evaluate", train_run=trained)
    run("register", train_run=trained, evaluate_run=evaluated, model_name=model_name)
