# SPDX-License-Identifier: MIT
"""Answers questions with Python's own tracemalloc, printed as its documentation prints them.

Standard input: {"old": TRACES, "new": TRACES, "source": {FILE: {LINE: TEXT}}, "questions": [...]}.
A trace is [size, [[file, line], ...]], the innermost frame first. Each answer ends with a line "--".
"""
import json
import linecache
import sys
import tracemalloc


def snapshot_of(traces, filters):
    made = [(0, size, tuple((f, n) for f, n in frames), len(frames)) for size, frames in traces]
    return tracemalloc.Snapshot(made, 100).filter_traces(filters)


def fill_linecache(source):
    for name, lines in source.items():
        count = max(int(n) for n in lines)
        text = [lines.get(str(n), "") for n in range(1, count + 1)]
        linecache.cache[name] = (1, None, text, name)


def print_differences(new, old, question):
    stats = new.compare_to(old, question["key"], question["cumulative"])
    print("[ Top %d differences ]" % question["top"])
    for stat in stats[: question["top"]]:
        text = str(stat)
        if question["key"] == "filename":
            text = text.replace(":0: ", ": ", 1)
        print(text)


def print_rest(stats, top, total):
    other = stats[top:]
    if other:
        print("%s other: %.1f KiB" % (len(other), sum(s.size for s in other) / 1024))
    print("Total allocated size: %.1f KiB" % (total / 1024))


def print_tracebacks(snapshot, question):
    stats = snapshot.statistics("traceback")
    print("Top %d tracebacks" % question["top"])
    for stat in stats[: question["top"]]:
        print("%s memory blocks: %.1f KiB" % (stat.count, stat.size / 1024))
        for line in stat.traceback.format():
            print(line)
    print_rest(stats, question["top"], sum(s.size for s in stats))


def print_top(snapshot, question):
    key = question["key"]
    stats = snapshot.statistics(key, question["cumulative"])
    print("Top %d %s" % (question["top"], "lines" if key == "lineno" else "files"))
    for rank, stat in enumerate(stats[: question["top"]], 1):
        frame = stat.traceback[0]
        label = frame.filename if key == "filename" else "%s:%s" % (frame.filename, frame.lineno)
        print("#%s: %s: %.1f KiB" % (rank, label, stat.size / 1024))
        line = linecache.getline(frame.filename, frame.lineno).strip() if key == "lineno" else ""
        if line:
            print("    %s" % line)
    print_rest(stats, question["top"], sum(trace.size for trace in snapshot.traces))


def main():
    given = json.load(sys.stdin)
    fill_linecache(given["source"])
    for question in given["questions"]:
        filters = [
            tracemalloc.Filter(inclusive, pattern, lineno, question["all_frames"])
            for inclusive, pattern, lineno in question["filters"]
        ]
        new = snapshot_of(given["new"], filters)
        if question["compare"]:
            print_differences(new, snapshot_of(given["old"], filters), question)
        elif question["key"] == "traceback":
            print_tracebacks(new, question)
        else:
            print_top(new, question)
        print("--")


main()
