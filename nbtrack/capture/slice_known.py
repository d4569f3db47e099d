"""What is known of Python's own functions and of the usual libraries: what changes its arguments, what only looks."""

from __future__ import annotations

import re
import sys
import sysconfig
from functools import cache
from pathlib import Path
from typing import Final

# -- methods ----------------------------------------------------------------------------------------------------------
# Change a built-in container, and nothing that it holds.
CONTAINER_MUTATORS: Final = frozenset(
    {"append", "extend", "insert", "remove", "pop", "clear", "sort", "reverse", "update", "popitem", "setdefault"}
    | {"add", "discard", "difference_update", "intersection_update", "symmetric_difference_update"}
    | {"appendleft", "extendleft", "popleft", "rotate", "subtract", "move_to_end", "__setitem__", "__delitem__"}
)
STORING: Final = frozenset({"append", "extend", "insert", "update", "setdefault", "add", "appendleft", "extendleft"})
FRAME_MUTATORS: Final = frozenset(
    {"insert", "pop", "update", "drop_in_place", "extend", "insert_column", "replace_column"}
)
ARRAY_MUTATORS: Final = frozenset(
    {"sort", "fill", "resize", "partition", "put", "itemset", "byteswap", "setflags", "setfield", "set_flags"}
)
ESTIMATOR_MUTATORS: Final = re.compile(r"fit|partial_fit|set_\w+|fit_\w+|add_\w+|load_\w+|update|train|train_\w+")
# Look only, whatever the object is.
PURE_METHODS: Final = re.compile(
    r"predict|predict_\w+|score|score_\w+|transform|inverse_transform|decision_function|apply|map|evaluate|summary\w*"
    r"|get|get_\w+|keys|values|items|copy|deepcopy|mean|sum|std|var|min|max|median|quantile|count|index|info|describe"
    r"|head|tail|show|display|plot|plot_\w+|hist|round|astype|numpy|tolist|to_\w+|item|cpu|detach|clone|size|dim|numel"
    r"|parameters|named_\w+|state_dict|modules|children|format|join|split|strip|lower|upper|replace|startswith"
    r"|endswith|encode|decode|isin|is_\w+|has_\w+|exists|resolve|glob|iterdir|read_text|read_bytes|save|save_\w+"
    r"|savefig|write_text|write_bytes|mkdir|params|coef|argmax|argmin|reshape|groupby|merge|drop|dropna|fillna"
    r"|value_counts|nunique|unique|sample|query|assign|rename|select|filter|with_columns|collect|corr|dot|most_common"
    r"|total_seconds|strftime|isoformat|group|groups|start|end|span|match|search|findall|sub|fullmatch|finditer"
    r"|union|intersection|difference|issubset|issuperset|cumsum|sort_values|reset_index|set_index|agg|aggregate|pivot"
    r"|abs|nlargest|nsmallest|idxmax|idxmin|mode|skew|kurt|rank|cov|clip|between|duplicated|drop_duplicates|sort_index"
    r"|feature_\w+|dump_\w+|explain\w*|pivot_table|melt|explode|rolling|resample|shift|diff|conj|ravel|flatten|transpose|squeeze|nonzero|any|all"
)
# -- functions --------------------------------------------------------------------------------------------------------
# Dotted name -> the argument that it changes in place.
MUTATING_FUNCTIONS: Final[dict[str, int]] = {
    "builtins.next": 0,
    "builtins.setattr": 0,
    "builtins.delattr": 0,
    "random.shuffle": 0,
    "numpy.random.shuffle": 0,
    "heapq.heappush": 0,
    "heapq.heappop": 0,
    "heapq.heapify": 0,
    "heapq.heapreplace": 0,
    "heapq.heappushpop": 0,
    "bisect.insort": 0,
    "bisect.insort_left": 0,
    "bisect.insort_right": 0,
    "operator.setitem": 0,
    "operator.delitem": 0,
    "operator.iadd": 0,
    "numpy.copyto": 0,
    "numpy.put": 0,
    "numpy.place": 0,
    "numpy.putmask": 0,
    "numpy.put_along_axis": 0,
    "numpy.fill_diagonal": 0,
    "importlib.reload": 0,
}
# Whose functions leave their arguments alone, also where their result is not used.
PURE_ROOTS: Final = frozenset(
    {"builtins", "matplotlib", "seaborn", "plotly", "altair", "bokeh", "IPython", "pprint", "logging", "json", "pickle"}
    | {
        "joblib",
        "os",
        "sys",
        "pathlib",
        "shutil",
        "math",
        "statistics",
        "numpy",
        "scipy",
        "sklearn",
        "pandas",
        "polars",
    }
    | {"time", "datetime", "warnings", "gc", "re", "string", "textwrap", "tabulate", "rich", "tqdm", "itertools"}
    | {
        "collections",
        "functools",
        "typing",
        "copy",
        "csv",
        "io",
        "subprocess",
        "nbtrack",
        "mlflow",
        "wandb",
        "cloudpickle",
    }
    | {"random", "statsmodels", "missingno", "graphviz", "hashlib", "platform", "urllib", "requests", "ydata_profiling"}
)
# Modules whose settings change only how things look.
COSMETIC: Final = frozenset(
    {"matplotlib", "seaborn", "plotly", "altair", "bokeh", "IPython", "warnings", "logging", "tqdm", "rich", "nbtrack"}
    | {"mlflow", "wandb", "matplotlib_inline", "ipywidgets", "pprint", "absl"}
)
# A call on a module whose result is not used, and whose name says that it changes a setting of the whole process.
SETTING: Final = re.compile(
    r"set\w*|\w*_config|\w*_options?|register\w*|enable\w*|disable\w*|use\w*|install\w*|patch\w*|configure\w*|init\w*"
    r"|reset\w*|setup\w*|seterr|chdir|putenv|setrecursionlimit|setlocale|apply\w*|activate\w*|append|insert|extend|update"
)
COSMETIC_SETTING: Final = re.compile(r"^(?:display|io|mode\.|plotting|styler)")
# -- randomness -------------------------------------------------------------------------------------------------------
NUMPY, PYTHON, TORCH, TENSORFLOW = "<numpy.random>", "<random>", "<torch.random>", "<tensorflow.random>"
GENERATORS: Final = (NUMPY, PYTHON, TORCH, TENSORFLOW)
SEEDING: Final[dict[str, tuple[str, ...]]] = {
    "random.seed": (PYTHON,),
    "random.setstate": (PYTHON,),
    "numpy.random.seed": (NUMPY,),
    "numpy.random.set_state": (NUMPY,),
    "torch.manual_seed": (TORCH,),
    "torch.random.manual_seed": (TORCH,),
    "torch.set_rng_state": (TORCH,),
    "tensorflow.random.set_seed": (TENSORFLOW,),
    "tensorflow.set_random_seed": (TENSORFLOW,),
}
# Functions of libraries that seed whatever there is: seed_everything, set_random_seed, set_seed, fix_all_seeds.
SEEDS_ALL: Final = re.compile(r"(?:set|fix|reset|init)_(?:all_)?(?:random_|global_)?seeds?|seed_(?:everything|all)")
_NOT_DRAWING: Final = frozenset(
    {"seed", "default_rng", "Generator", "RandomState", "get_state", "set_state", "SeedSequence", "PCG64", "MT19937"}
    | {"Philox", "SFC64", "BitGenerator", "mtrand", "Random", "SystemRandom", "getstate", "setstate"}
)
_TORCH_DRAWS: Final = re.compile(
    r"torch\.(?:randn?|randint|randperm|rand_like|randn_like|randint_like|normal|bernoulli|multinomial|poisson)"
    r"|torch\.nn\.init\.\w+|torch\.nn\.(?:Linear|Conv\dd|LSTM|GRU|RNN|Embedding|Dropout|Transformer\w*|MultiheadAttention)"
)
# Draw from numpy's global generator unless told `random_state`.
_SKLEARN_DRAWS: Final = frozenset(
    {
        "train_test_split",
        "shuffle",
        "resample",
        "KMeans",
        "MiniBatchKMeans",
        "GaussianMixture",
        "RandomForestClassifier",
    }
    | {
        "RandomForestRegressor",
        "ExtraTreesClassifier",
        "ExtraTreesRegressor",
        "DecisionTreeClassifier",
        "IsolationForest",
    }
    | {"DecisionTreeRegressor", "MLPClassifier", "MLPRegressor", "SGDClassifier", "SGDRegressor", "RandomizedSearchCV"}
    | {"BaggingClassifier", "BaggingRegressor", "TSNE", "ShuffleSplit", "StratifiedShuffleSplit", "GroupShuffleSplit"}
    | {"permutation_importance", "make_classification", "make_regression", "make_blobs", "make_moons", "make_circles"}
    | {"make_friedman1", "GradientBoostingClassifier", "GradientBoostingRegressor", "AdaBoostClassifier"}
)


def draws(dotted: str, keywords: frozenset[str]) -> str | None:
    """Return the global generator that a function draws from, as far as its name tells; None if from none."""
    root, _, rest = dotted.partition(".")
    last = dotted.rpartition(".")[2]
    if root == "random" and rest and last not in _NOT_DRAWING:
        return PYTHON
    if dotted.startswith("numpy.random.") and last not in _NOT_DRAWING:
        return NUMPY
    if root == "sklearn" and last in _SKLEARN_DRAWS and "random_state" not in keywords:
        return NUMPY
    if root == "torch" and _TORCH_DRAWS.fullmatch(dotted):
        return TORCH
    return TENSORFLOW if root in {"tensorflow", "keras"} and rest else None


# -- files ------------------------------------------------------------------------------------------------------------
WRITES_FILE: Final = re.compile(
    r"to_(?:csv|parquet|pickle|json|excel|feather|hdf|markdown|html|latex|xml|orc|stata|netcdf|zarr|file|sql|disk)"
    r"|save\w*|write\w*|dump|export\w*|mkdirs?|makedirs|touch|extract|extractall|download\w*|urlretrieve|imsave|imwrite"
    r"|unlink|remove|rmtree|rmdir|tofile|sink_\w+|log_artifact"
)
MOVES_FILE: Final = re.compile(r"copy|copy2|copyfile|copytree|move|rename|replace|symlink")
JOINS: Final = frozenset(
    {"os.path.join", "pathlib.Path", "pathlib.PurePath", "pathlib.PosixPath", "os.path.abspath", "os.fspath"}
    | {"builtins.str", "os.path.expanduser", "os.path.normpath"}
)
# -- magics -----------------------------------------------------------------------------------------------------------
BODY_MAGICS: Final = frozenset({"time", "timeit", "capture", "prun", "memit", "mprun", "lprun"})
# Magics that change nothing that a result could depend on.
IDLE_MAGICS: Final = frozenset(
    {
        "matplotlib",
        "config",
        "who",
        "whos",
        "who_ls",
        "pinfo",
        "pinfo2",
        "psource",
        "history",
        "precision",
        "pip",
        "conda",
    }
    | {"uv", "mamba", "load_ext", "reload_ext", "autoreload", "track", "nbtrack", "pprint", "xmode", "lsmagic", "magic"}
    | {
        "quickref",
        "notebook",
        "logstart",
        "logoff",
        "logon",
        "colors",
        "pdb",
        "debug",
        "tb",
        "pwd",
        "ls",
        "cat",
        "head",
    }
    | {"html", "latex", "markdown", "svg", "javascript", "js", "HTML", "wandb", "tensorboard", "watermark", "qtconsole"}
)


@cache
def origin(root: str) -> str:
    """Return where a top-level module comes from: ``"stdlib"``, ``"library"`` or ``"local"``: the user's own."""
    if root in sys.stdlib_module_names:
        return "stdlib"
    module = sys.modules.get(root)
    place = getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", [])), None)
    if place is None:
        return "library" if module is not None else "local"
    path = Path(place).resolve()
    installed = [Path(p).resolve() for p in (sysconfig.get_path("purelib"), sysconfig.get_path("platlib")) if p]
    parts = {"site-packages", "dist-packages"}
    if root == "nbtrack" or not parts.isdisjoint(path.parts) or any(path.is_relative_to(one) for one in installed):
        return "library"
    return "local"
