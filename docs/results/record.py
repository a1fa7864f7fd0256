"""Makes result files of the documents from what ``pcfh reproduce`` or ``pcfh shifts`` wrote; nothing by hand.

    python docs/results/record.py OUT/results.json NAME --data TEXT --machine TEXT --command "pcfh ..." [...]

Beside this program it writes

    NAME.json                one record for each row: the paper's figures, ours, and <recogniser>_... of those
                             that no training has seen
    NAME-differences.json    the paired tests, in points
    NAME-curve.json          the rows against images seen, where generators were kept along the way

or, of OUT/shifts.json,

    NAME.json                one record for each shift, recogniser and generator
    NAME-kept.json           one for each shift and generator: irises, glasses, surroundings

each with its source: data, commands, commit, seeds and machine. ``tables.toml`` says which of it makes a
table, and ``make.py`` writes it into the pages.
"""

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RATES = ("rank1", "vr1", "vr01")
ALL_SHIFTS = "all shifts"
SHARES = ("faces found behind glasses", "surroundings in skin colour")
IMAGES = {
    "MAE": "mae",
    "SSIM": "ssim",
    "skin ΔE2000": "delta_e",
    "landmark distance, NIR to generated": "landmarks",
    "landmark distance over the detector's noise": "landmarks_ratio",
    "yaw error, degrees": "yaw",
}


def main(arguments: Sequence[str]) -> int:
    """Writes the files; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("results", type=Path, help="of pcfh reproduce, or shifts.json of pcfh shifts")
    parser.add_argument("name", help="of the files, without .json")
    parser.add_argument("--data", required=True, help="what was trained and tested on")
    parser.add_argument("--machine", required=True, help="where, in which precision, beside what")
    parser.add_argument("--command", required=True, action="append", help="that made it; again for each")
    parser.add_argument("--into", type=Path, default=HERE, help="folder to write to")
    options = parser.parse_args(arguments)
    content = json.loads(options.results.read_text(encoding="utf-8"))
    source = {
        "status": "measured",
        "data": options.data,
        "commands": options.command,
        "commit": commit(),
        "seeds": [0] if "kept" in content else seeds(content["results"]),
        "machine": options.machine,
    }
    for ending, records in files(content).items():
        path = options.into / f"{options.name}{ending}.json"
        path.write_text(as_text(source, records), encoding="utf-8")
        print(f"written: {path}")
    return 0


def files(content: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The records of each file by the ending of its name."""
    if "kept" in content:
        return {"": shift_rows(content), "-kept": kept_rows(content)}
    found = {
        "": rows(content),
        "-differences": differences(content),
        "-curve": curve(content),
    }
    return {ending: records for ending, records in found.items() if records}


def rows(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One record for each row, and one for the true VIS images."""
    results, labels = content["results"], names(content)
    printed = {row["key"]: row["figures"] for row in content["paper"]["rows"] if row["key"]}
    views = outside(results)
    records = []
    for row in results["rows"]:
        record: dict[str, Any] = {"method": labels(row["key"])}
        if row["key"] in printed:
            paper = [float(text.partition("±")[0]) for text in printed[row["key"]]]
            record |= {f"{rate}_paper": value for rate, value in zip(RATES, paper, strict=True)}
        record |= figures(row)
        record |= {IMAGES[one["name"]]: spread(one["figure"]) for one in row["images"]}
        if row["cost"]["wall_seconds"]:
            trainings = len(row["seeds"]) * len(results["folds"])
            record["minutes"] = round(row["cost"]["wall_seconds"] / 60 / trainings, 1)
        for name, view in views.items():
            (same,) = (one for one in view["rows"] if one["key"] == row["key"])
            record |= {f"{name}_{key}": value for key, value in figures(same).items()}
        records.append(record)
    truths = [(row, "") for row in results["rows"]]
    truths += [(row, f"{name}_") for name, view in views.items() for row in view["rows"]]
    true = {
        f"{prefix}{key}": value
        for row, prefix in truths
        if row["truth"]
        for key, value in columns(row["truth"]).items()
    }
    return [*records, {"method": "true VIS images", **true}] if true else records


def differences(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One record for each paired test."""
    results, labels = content["results"], names(content)
    views = outside(results)
    records = []
    for test in results["comparisons"]:
        record = {"method": f"{labels(test['row'])} − {labels(test['other'])}", **tested(test)}
        for name, view in views.items():
            same = [t for t in view["comparisons"] if (t["row"], t["other"]) == (test["row"], test["other"])]
            record |= {f"{name}_{key}": value for one in same for key, value in tested(one).items()}
        records.append(record)
    return records


def curve(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One record for each row and number of images."""
    results, labels = content["results"], names(content)
    prefixes = ["", *(f"{name}_" for name in outside(results))]
    records = []
    for point in results["curve"]:
        record = {"method": labels(point["row"]), "images": point["images"], "probes": point["probes"]}
        for i, prefix in enumerate(prefixes):
            record |= {
                f"{prefix}rank1": percent(point["fusion"][i]),
                f"{prefix}alone_rank1": percent(point["alone"][i]),
            }
        if point["error"] is not None:
            record["mae"] = float(f"{point['error']:.4g}")
        records.append(record)
    return records


def shift_rows(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rank-1 of a suite of shifts, and for all shifts in how many the fusion lies below the NIR images."""
    records = []
    for row in content["rows"]:
        own = [r for r in content["rows"] if place(r) == place(row) and r["shift"] != ALL_SHIFTS]
        below = sum(r["gain"]["estimate"] < 0 for r in own)
        surely = sum(r["gain"]["high"] < 0 for r in own)
        records.append(
            {
                "method": f"{row['shift']}, {row['generator']}, {key_of(row['recognizer'])}",
                **{name: row[name] for name in ("shift", "generator")},
                "recogniser": row["recognizer"].removesuffix(".onnx"),
                **{name: bounds(one, 100) for name, one in row["rank1"].items() if one},
                "gain": bounds(row["gain"], 100),
                "below": f"{below} ({surely})",
            }
        )
    return records


def place(row: Mapping[str, Any]) -> tuple[str, str]:
    """By whom a row of a suite was measured, of which generator."""
    return row["recognizer"], row["generator"]


def kept_rows(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What generated faces keep in a suite of shifts; shares in percent."""
    records = []
    for row in content["kept"]:
        record = {"method": f"{row['shift']}, {row['generator']}"}
        record |= {name: row[name] for name in ("shift", "generator")}
        for one in row["measures"]:
            key = key_of(f"{one['measure']} {one['images']}")
            scale = 100 if one["measure"] in SHARES else 1
            if one["interval"]:
                record[key] = bounds(one["interval"], scale)
        records.append(record)
    return records


def bounds(interval: Mapping[str, Any], scale: float = 1) -> dict[str, float]:
    """An estimate with its interval."""
    keys = (("value", "estimate"), ("low", "low"), ("high", "high"))
    return {key: float(f"{scale * interval[name]:.4g}") for key, name in keys}


def figures(row: Mapping[str, Any]) -> dict[str, Any]:
    """Of a row by one recogniser: its score's, the generated image's alone, and the errors cut in percent."""
    found = columns(row["figures"])
    if row["generated"]:
        found |= {f"alone_{key}": value for key, value in columns(row["generated"]).items()}
    if row["cuts"]:
        found |= {f"{key}_cut": percent(value) for key, value in row["cuts"].items() if value is not None}
    return found


def columns(three: Mapping[str, Any]) -> dict[str, Any]:
    """The three columns in percent, as far as they were measured."""
    return {rate: spread(three[rate], 100) for rate in RATES if three[rate] is not None}


def tested(test: Mapping[str, Any]) -> dict[str, Any]:
    """A paired test in points."""
    found: dict[str, Any] = {
        rate: {
            "value": percent(test[rate]["estimate"]),
            "low": percent(test[rate]["low"]),
            "high": percent(test[rate]["high"]),
        }
        for rate in RATES
        if test[rate] is not None
    }
    return {**found, "p": float(f"{test['mcnemar_p']:.3g}")}


def spread(one: Mapping[str, Any], scale: float = 1) -> Any:
    """A mean, with its deviation where it has one; four digits are more than any page shows."""
    mean = float(f"{scale * one['mean']:.4g}")
    return (
        mean if one["deviation"] is None else {"mean": mean, "sd": float(f"{scale * one['deviation']:.3g}")}
    )


def percent(share: float) -> float:
    """A share in percent."""
    return round(100 * share, 2)


def names(content: Mapping[str, Any]) -> Any:
    """What the paper calls a row, by its key."""
    labels = {row["key"]: row["label"] for row in content["paper"]["rows"] if row["key"]}
    return lambda key: labels.get(key, key)


def outside(results: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """What recognisers that no training has seen say, by the name that keys begin with."""
    return {key_of(view["recognizer"]): view for view in results["outside"]}


def key_of(recognizer: str) -> str:
    """A recogniser's name as keys begin with it."""
    return re.sub(r"\W+", "_", recognizer.removesuffix(".onnx")).lower()


def seeds(results: Mapping[str, Any]) -> list[int]:
    """Of all rows."""
    return sorted({seed for row in results["rows"] for seed in row["seeds"]})


def commit() -> str:
    """The commit of this checkout, marked where files differ from it."""
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    return subprocess.run(command, cwd=HERE, check=True, capture_output=True, text=True).stdout.strip()


def as_text(source: Mapping[str, Any], records: Sequence[Mapping[str, Any]]) -> str:
    """JSON with one line for each record."""
    lines = ",\n".join(f"    {json.dumps(record, ensure_ascii=False)}" for record in records)
    head = json.dumps(source, indent=2, ensure_ascii=False).replace("\n", "\n  ")
    return f'{{\n  "source": {head},\n  "records": [\n{lines}\n  ]\n}}\n'


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
