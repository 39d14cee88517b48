#!/usr/bin/env python3
"""Prints rows of several runs side by side. usage: table.py LABEL=FILE.json LABEL=FILE.json ..."""
import json
import sys

columns = [argument.split("=", 1) for argument in sys.argv[1:]]
runs = []
for label, path in columns:
    with open(path) as file:
        runs.append({row["name"]: row for row in json.load(file)["rows"]})


def number(value):
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def cell(row):
    """Latencies as p50, everything else as a rate."""
    if row is None or row.get("per_second") is None:
        return "-"
    if row.get("p50_us") is not None:
        return f"{number(row['p50_us'])} us"
    return f"{number(row['per_second'])}/s"


def times(ours, theirs):
    """By how much the first run is faster."""
    if not ours or not theirs or not ours.get("per_second") or not theirs.get("per_second"):
        return "-"
    if ours.get("p50_us") and theirs.get("p50_us"):
        return number(theirs["p50_us"] / ours["p50_us"])
    return number(ours["per_second"] / theirs["per_second"])


names = [name for name in runs[0] if any(name in run for run in runs[1:])]
labels = [label for label, _ in columns]
print("| row | " + " | ".join(labels) + " | " + " | ".join(f"{labels[0]} / {label}" for label in labels[1:]) + " |")
print("|---" * (2 * len(labels)) + "|")
for name in names:
    found = [run.get(name) for run in runs]
    print(f"| {name} | " + " | ".join(cell(row) for row in found) + " | "
          + " | ".join(times(found[0], row) for row in found[1:]) + " |")
