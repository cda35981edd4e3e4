# SPDX-License-Identifier: MIT
"""Prints a table with Python's own tracemalloc, from the rows of a JSON report.

Standard input: a report with every row in it. Argument: how many rows to show. The printing is
the recipe of the tracemalloc documentation; the statistics are tracemalloc's own.
"""
import json
import linecache
import sys
import tracemalloc


def snapshot_of(report):
    """One trace a block; the first of a line carries its bytes, for only the sum matters."""
    traces = []
    for row in report["rows"]:
        name, line = row["label"].rsplit(":", 1)
        for i in range(row["blocks"]):
            size = row["bytes"] if i == 0 else 0
            traces.append((0, size, ((name, int(line)),), 1))
        lines = linecache.cache.setdefault(name, (1, None, {}, name))[2]
        lines[int(line)] = row["source"] or ""
    for name, (size, when, lines, full) in list(linecache.cache.items()):
        text = [lines.get(n, "") for n in range(1, max(lines) + 1)]
        linecache.cache[name] = (size, when, text, full)
    return tracemalloc.Snapshot(traces, 1)


def display_top(snapshot, limit):
    top_stats = snapshot.statistics("lineno")
    print("Top %s lines" % limit)
    for index, stat in enumerate(top_stats[:limit], 1):
        frame = stat.traceback[0]
        print("#%s: %s:%s: %.1f KiB" % (index, frame.filename, frame.lineno, stat.size / 1024))
        line = linecache.getline(frame.filename, frame.lineno).strip()
        if line:
            print("    %s" % line)
    other = top_stats[limit:]
    if other:
        size = sum(stat.size for stat in other)
        print("%s other: %.1f KiB" % (len(other), size / 1024))
    total = sum(stat.size for stat in top_stats)
    print("Total allocated size: %.1f KiB" % (total / 1024))


display_top(snapshot_of(json.load(sys.stdin)), int(sys.argv[1]))
