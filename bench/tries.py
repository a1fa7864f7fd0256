"""Settings of the rivals of Tables 2 to 4, at most eight each, tried on training people who are kept out.

    python -m bench tries PREPARED OUT.json [--protocol 1] [--rivals tuned after-trivet ...] [--seeds 0 1]

Nobody whom the fold tests is looked at. A try counts by the mean of its best looks over the seeds, each of
which keeps other people out; a look is the mean of Rank-1 and VR at FAR = 1 % (``pcfh.recognisers.tuning``).
What is in OUT.json is not tried again.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from tabulate import tabulate

from pcfh.files import write_atomically
from pcfh.recipes.tuning import TuningJob, captures_of
from pcfh.recognisers.tuning.base import find_rival
from pcfh.recognisers.tuning.tune import Look, looks_of
from pcfh.runtime import keep_freed_memory
from pcfh.shipped import shipped


def _tries(base: str, *changes: str) -> tuple[str, ...]:
    """All settings of each try: the base, and the base changed."""
    before = dict(text.split("=") for text in base.split())
    tries = ({**before, **dict(text.split("=") for text in change.split())} for change in ("", *changes))
    return tuple(" ".join(f"{name}={value}" for name, value in one.items()) for one in tries)


_RATES = ("learning_rate=3e-5", "learning_rate=3e-4", "learning_rate=1e-3")
_HEAD = "learning_rate=1e-4 people=8 "
_IDR = _tries(
    "learning_rate=1e-3 people=8 scale=30 orthogonality=1",
    *("learning_rate=1e-4", "learning_rate=3e-4", "learning_rate=3e-3"),
    *("scale=15", "scale=60", "orthogonality=0.1", "people=16"),
)
TRIES: Mapping[str, Sequence[str]] = {
    "tuned": _tries(
        _HEAD + "scale=30", *_RATES, "scale=15", "scale=60", "people=16", "learning_rate=3e-4 scale=15"
    ),
    "contrastive": _tries(
        _HEAD + "temperature=0.07 keep=1",
        *(*_RATES, "temperature=0.15", "keep=0.1", "keep=10"),
        "learning_rate=3e-4 temperature=0.15",
    ),
    "after-trivet": _tries(
        _HEAD + "margin=0.4",
        *(*_RATES, "margin=0.2", "margin=0.8", "people=16"),
        "learning_rate=3e-4 margin=0.8",
    ),
    "after-trivet-softmax": _tries(
        _HEAD + "margin=0.4 softmax=1",
        *(*_RATES, "margin=0.8", "softmax=0.3", "people=16"),
        "learning_rate=3e-4 margin=0.8",
    ),
    "after-idr-128": _IDR,
    "after-idr-64": _IDR,
    "after-kdsr": _tries(
        "ridge=1e-3 coupling=1e-2 width=1",
        *("ridge=1e-4", "ridge=1e-2", "coupling=0", "coupling=0.1", "coupling=1", "width=0.5", "width=2"),
    ),
    "after-kdsr-lbp": _tries(
        "ridge=1e-3 coupling=1e-2 width=1 components=400",
        *("ridge=1e-4", "ridge=1e-2", "coupling=0", "coupling=0.1"),
        *("width=0.5", "width=2", "components=200"),
    ),
    "after-csh-low-rank": _tries("rate=0.02", "rate=0.002", "rate=0.005", "rate=0.01", "rate=0.05"),
}


def main(arguments: Sequence[str]) -> int:
    """Tries and prints; returns the exit code."""
    options = parser().parse_args(arguments)
    keep_freed_memory()
    done: dict[str, Any] = json.loads(options.out.read_text()) if options.out.is_file() else {}
    rows = []
    for key in options.rivals:
        for settings in TRIES[key]:
            name = f"{key} {settings}"
            for seed in options.seeds:
                if str(seed) not in done.setdefault(name, {}):
                    done[name][str(seed)] = _tried(options, key, settings, seed)
                    write_atomically(options.out, json.dumps(done, indent=1).encode())
            found = [done[name][str(seed)] for seed in options.seeds]
            rows.append((key, settings, *(fmean(one[k] for one in found) for k in _COLUMNS)))
            print(rows[-1], flush=True)
    head = ("rival", "settings", *_COLUMNS)
    print(tabulate(rows, head, tablefmt="pipe", floatfmt=("", "", ".1f", ".1f", ".1f", ".4f", ".0f")))
    return 0


_COLUMNS = ("before", "Rank-1", "VR@FAR=1%", "order", "steps")


def _tried(options: argparse.Namespace, key: str, settings: str, seed: int) -> dict[str, float]:
    """The best look at a try, rates in percent, and what the first look was worth."""
    job = TuningJob(
        prepared=options.prepared,
        protocol=options.protocol,
        out=Path(),  # nothing is written
        rival=find_rival(key, settings.split()),
        recognizer=shipped("recognizer"),
        cache=options.cache or options.out.parent / "cache",
        seed=seed,
    )
    looks = looks_of(job.rival, captures_of(job), seed=seed)
    best = max(looks, key=lambda look: look.worth)
    return {
        "before": 100 * looks[0].worth[0],
        "Rank-1": 100 * best.rank1,
        "VR@FAR=1%": 100 * _vr(best),
        "order": best.order,
        "steps": best.step,
    }


def _vr(look: Look) -> float:
    return float("nan") if look.vr1 is None else look.vr1


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(prog="python -m bench tries", description=(__doc__ or "").split("\n")[0])
    result.add_argument("prepared", type=Path, help="made by pcfh prepare")
    result.add_argument("out", type=Path, help="a JSON file")
    result.add_argument("--protocol", default="1", help="whose training people")
    result.add_argument("--rivals", nargs="+", default=list(TRIES), choices=list(TRIES))
    result.add_argument("--seeds", nargs="+", type=int, default=[0, 1], help="of who is kept out")
    result.add_argument(
        "--cache", type=Path, help="of maps, as a table's work/cache; beside OUT if not given"
    )
    return result
