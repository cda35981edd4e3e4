#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What other programs read in exported snapshots, held against tracealloc's own report.

export_readers.py TRACEALLOC SCRATCH SHOW EXPORTED REPORTED READER...

Exports the snapshot EXPORTED in the format of each reader, has the reader show it, and compares the
sum and the five biggest rows with those that TRACEALLOC reports of the snapshot REPORTED, both of
the quantity SHOW (peak or total). Prints one line a reader; the status is 1 if any differs. SPEEDSCOPE in the environment is the directory of its
release.
"""

import base64
import collections
import csv
import html
import json
import os
import re
import subprocess
import sys

TOP = 5


class Different(Exception):
    pass


def output_of(*command, **more):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)
    if done.returncode != 0:
        raise Different("%s: %s" % (command[0], done.stderr.decode(errors="replace")[-500:]))
    return done.stdout.decode()


class Reports:
    """The sums that the report of a snapshot has, under the names that readers show."""

    def __init__(self, tracealloc, snapshot):
        self.tracealloc = tracealloc
        self.snapshot = snapshot

    def ask(self, show, group):
        return json.loads(
            output_of(self.tracealloc, "report", "--format=json", "--top=1000000000",
                      "--show=" + show, "--group-by=" + group, self.snapshot))

    def sums(self, show, name):
        """By name of the innermost frame of each traceback, and of all."""
        report = self.ask(show, "traceback")
        sums = collections.Counter()
        for row in report["rows"]:
            sums[name(row)] += row["bytes"]
        return sums, report["shown_bytes"]

    def lines(self, show):
        report = self.ask(show, "line")
        sums = collections.Counter()
        for row in report["rows"]:
            sums[row["label"]] += row["bytes"]
        return sums, report["shown_bytes"]


def base(path):
    return path.rsplit("/", 1)[-1]


def code_name(frame):
    """A function; without one, where it is in its module."""
    if frame["function"]:
        return frame["function"]
    if frame["module"]:
        return "%s+0x%x" % (base(frame["module"]), frame["offset"])
    return "<unknown>"


def function_of(row):
    return code_name(row["frames"][0]) if row["frames"] else "<unknown>"


def file_and_function_of(row):
    file = row["frames"][0]["file"] if row["frames"] else None
    return "%s:%s" % (file or "???", function_of(row))


def function_and_line_of(row):
    frame = row["frames"][0] if row["frames"] else {}
    return function_of(row), frame.get("file"), frame.get("line")


def path_and_line_of(row):
    """As pprof has it: "/s/a.c:3", or the name."""
    frame = row["frames"][0] if row["frames"] else None
    if frame and frame["file"] and frame["line"]:
        return "%s:%d" % (os.path.normpath(frame["file"]), frame["line"])
    return function_of(row)


def label_of(text):
    """From "parse (src/parse.c:414)" to the label of the report's row."""
    at = re.search(r" \(([^()]*:\d+)\)$", text)
    return at.group(1) if at else text


def number(text):
    return int(text.replace(",", ""))


# Each reader gives the sums by name that it shows, and of all. Where it shows rounded numbers, these
# are pairs of number and name in its order.


def read_csv(file, show):
    sums = collections.Counter()
    with open(file, newline="") as stream:
        for row in csv.DictReader(stream, strict=True):
            sums[row["label"]] += int(row["bytes"])
    return sums, sum(sums.values())


def read_text(file, show):
    """The body of a report, which has the names of lines and rounded sizes."""
    with open(file) as stream:
        text = stream.read()
    rows = re.findall(r"^#\d+: (.*): ([\d.]+ KiB)$", text, re.M)
    total = re.search(r"^Total allocated size: ([\d.]+ KiB)$", text, re.M).group(1)
    return [(amount, name) for name, amount in rows], total


def kib(value):
    return "%.1f KiB" % (value / 1024)


def read_html(file, show):
    """The data in the page; what a browser makes of it is compared in html_browser.py."""
    with open(file) as stream:
        data = json.loads(re.search(r'id="data">(.*?)</script>', stream.read(), re.S).group(1))
    sites, nodes, frames, strings = (data[name] for name in ("sites", "nodes", "frames", "strings"))

    def at(table, name, i):
        return table[name][i] if isinstance(table[name], list) else 0

    def line_of(frame):
        def text(name):
            return strings[at(frames, name, frame)]
        if text("file") and at(frames, "line", frame):
            return "%s:%d" % (text("label") or text("file"), at(frames, "line", frame))
        place = base(text("module") or "")
        if text("function"):
            return "%s (%s)" % (text("function"), place) if place else text("function")
        return "%s+%s" % (place, frames["offset"].get(str(frame), "0x0")) if place else "<unknown>"

    sums = collections.Counter()
    for i in range(sites["count"]):
        node = at(sites, "leaf", i) - 1
        for _ in range(at(sites, "charged", i)):
            node -= at(nodes, "up", node)
        label = line_of(at(nodes, "frame", node)) if node >= 0 else "<unknown>"
        sums[label] += at(sites, show + "_bytes", i)
    return sums, sum(sums.values())


def read_folded(file, show):
    program = """{
        value = $NF; sub(/ [0-9]+$/, ""); count = split($0, frames, ";")
        sums[frames[count]] += value
    } END { for (name in sums) printf "%.0f %s\\n", sums[name], name }"""
    sums = collections.Counter()
    for line in output_of("awk", program, file).splitlines():
        value, name = line.split(" ", 1)
        sums[label_of(name)] += int(value)
    return sums, sum(sums.values())


def read_massif(file, show):
    text = output_of("ms_print", "--threshold=0", file)
    peak = int(re.search(r"(\d+) \(peak\)", text).group(1))
    # The snapshot's figures, then its tree.
    found = re.search(r"^ *%d +[\d.,]+ +([\d,]+) .*\n((?:.*\n)*?)(?=^-----|^ *%d +[\d.,]+ )" %
                      (peak, peak + 1), text, re.M)
    sums = collections.Counter()
    for line in found.group(2).splitlines():
        row = re.match(r"->[\d.]+% \(([\d,]+)B\) 0x[0-9A-F]+: (.*)$", line)
        if row:
            sums[label_of(row.group(2))] += number(row.group(1))
    return sums, number(found.group(1))


def read_callgrind(file, show):
    # It shortens the names of files below the directory that it is started in.
    event = {"peak": "peakB", "total": "totB"}[show]
    text = output_of("callgrind_annotate", "--threshold=100", "--auto=no", "--show=" + event,
                     "--show-percs=no", file, cwd=os.path.dirname(file))
    sums = collections.Counter()
    for line in text.splitlines():
        row = re.match(r" *([\d,]+)  (.*?)(?: \[[^][]*\])?$", line)
        if row and row.group(2) == "PROGRAM TOTALS":
            total = number(row.group(1))
        elif row:
            sums[row.group(2)] += number(row.group(1))
    return sums, total


def read_dhat(file, show):
    with open(file) as stream:
        data = json.load(stream)
    sums = collections.Counter()
    for point in data["pps"]:
        sums[label_of(data["ftbl"][point["fs"][0]].split(": ", 1)[1])] += point[{"peak": "gb", "total": "tb"}[show]]
    return sums, sum(sums.values())


def read_speedscope(file, show):
    with open(file) as stream:
        data = json.load(stream)
    profile = data["profiles"][data["activeProfileIndex"]]
    frames, sums = data["shared"]["frames"], collections.Counter()
    for sample, weight in zip(profile["samples"], profile["weights"]):
        sums[frames[sample[-1]]["name"]] += weight
    if sum(profile["weights"]) != profile["endValue"]:
        raise Different("the weights are not the end value")
    return sums, profile["endValue"]


def messages(text):
    """The messages of protoc's text, as (name, {field: [values]})."""
    stack, top = [], []
    for line in text.splitlines():
        line = line.strip()
        if line.endswith("{"):
            stack.append((line[:-1].strip(), collections.defaultdict(list)))
        elif line == "}":
            done = stack.pop()
            (stack[-1][1][done[0]] if stack else top).append(done[1] if stack else done)
        else:
            field, value = line.split(": ", 1)
            value = value if value.startswith('"') or value in ("true", "false") else int(value)
            if stack:
                stack[-1][1][field].append(value)
            else:
                top.append((field, value))
    return top


def unquoted(text):
    plain = text[1:-1].encode("latin-1").decode("unicode_escape")
    return plain.encode("latin-1").decode()


SAMPLE_TYPES = {"peak": "peak_space", "total": "alloc_space"}


def read_protoc(file, show):
    with open(file, "rb") as stream:
        packed = subprocess.run(["gzip", "-dc"], stdin=stream, stdout=subprocess.PIPE,
                                check=True).stdout
    text = output_of("protoc", "--decode=pprof.Profile", "-Isrc/report", "pprof.proto",
                     input=packed)
    found = collections.defaultdict(list)
    for name, message in messages(text):
        found[name].append(message)
    strings = [unquoted(text) for text in found["string_table"]]
    types = [strings[one["type"][0]] for one in found["sample_type"]]
    functions = {one["id"][0]: one for one in found["function"]}
    places = {}
    for location in found["location"]:
        line = location["line"][0]
        function = functions[line["function_id"][0]]
        places[location["id"][0]] = strings[function["name"][0]]
        if line["line"]:
            path = os.path.normpath(strings[function["filename"][0]])
            places[location["id"][0]] = "%s:%d" % (path, line["line"][0])
    sums = collections.Counter()
    for sample in found["sample"]:
        sums[places[sample["location_id"][0]]] += sample["value"][types.index(SAMPLE_TYPES[show])]
    return sums, sum(sums.values())


def read_go(file, show):
    text = output_of("go", "tool", "pprof", "-top", "-lines", "-unit=B", "-nodecount=1000000",
                     "-nodefraction=0", "-edgefraction=0", "-sample_index=" + SAMPLE_TYPES[show], file,
                     env=dict(os.environ, HOME="/nonexistent", GOFLAGS="-mod=mod",
                              PPROF_TMPDIR=os.path.dirname(file)))
    total = int(re.search(r"of (\d+)B total", text).group(1))
    sums = collections.Counter()
    for line in text.split("flat%", 1)[1].splitlines()[1:]:
        flat, rest = re.match(r" *(\d+)B? +\S+ +\S+ +\d+B? +\S+  (.*)$", line).groups()
        place = re.search(r" (\S+:\d+)(?: \(inline\))?$", rest)
        name = place.group(1) if place else re.sub(r" \(inline\)$", "", rest).strip()
        sums[name] += int(flat)
    return sums, total


def page(file, options, url):
    """The document that a browser makes of a page, as text with a blank for every tag."""
    browser = os.path.join(os.path.dirname(file), "browser")
    return output_of("chromium", "--headless", "--no-sandbox", "--disable-gpu",
                     "--user-data-dir=" + browser, "--virtual-time-budget=20000",
                     *options, "--dump-dom", url)


DH_VIEW = """<body onload="onLoad(); show()"><script>
function show() {
    gFilename = "x";
    gData = JSON.parse(%s);
    buildTree();
    displayTree(1, 1, 1);
    let rows = gRoot._frames.length > 1 ? [[gRoot._frames[1], gRoot]]
                                        : gRoot._kids.map(kid => [kid._frames[0], kid]);
    let found = rows.map(row => [gData.ftbl[row[0]], row[1]._atTGmaxBytes]);
    appendElementWithText(document.body, "pre", "<<" + JSON.stringify(found) + ">>");
}
</script>"""


def read_dh_view(file, show):
    """valgrind's page, with a file given to it from a script instead of by hand."""
    directory = os.path.join(os.path.dirname(file), "dh_view")
    os.makedirs(directory, exist_ok=True)
    for name in ("dh_view.js", "dh_view.css", "dh_view.html"):
        with open("/usr/libexec/valgrind/" + name) as stream:
            text = stream.read()
        if name.endswith(".html"):
            with open(file) as stream:
                data = json.dumps(stream.read()).replace("</", "<\\/")
            text = text.replace('<body onload="onLoad()">', DH_VIEW % data)
        with open(os.path.join(directory, name), "w") as stream:
            stream.write(text)
    text = page(file, [], "file://" + os.path.join(directory, "dh_view.html"))
    shown = html.unescape(re.sub(r"<[^>]*>", "", text.split("</script>")[-1]))
    total = number(re.search(r"At t-gmax: ([\d,]+) bytes \(100%\)", shown).group(1))
    sums = collections.Counter()
    for frame, value in json.loads(re.search(r"<<(.*)>>", shown, re.S).group(1)):
        sums[label_of(frame.split(": ", 1)[1])] += value
    return sums, total


def shown_bytes(value):
    """Bytes as speedscope shows them."""
    for unit in ("B", "KB", "MB", "GB"):
        if value < 1024 or unit == "GB":
            return ("%d B" % value) if unit == "B" else "%.2f %s" % (value, unit)
        value /= 1024


def read_speedscope_app(file, show):
    """The rows of its sandwich view, which are in the order of what is spent in a frame itself."""
    with open(file, "rb") as stream:
        data = base64.b64encode(stream.read()).decode()
    script = file + ".js"
    with open(script, "w") as stream:
        stream.write('speedscope.loadFileFromBase64("x.json", "%s")' % data)
    text = page(file, ["--window-size=1400,1000"], "file://%s/index.html#view=sandwich&"
                "localProfilePath=%s" % (os.environ["SPEEDSCOPE"], script))
    cells = re.sub(r"<style.*?</style>", "", text, flags=re.S)
    cells = [html.unescape(cell) for cell in re.split(r"(?:<[^>]*>)+", cells)]
    total = cells[cells.index("in use at the peak (bytes)", cells.index("Total Weight")) + 1]
    amount = re.compile(r"^([\d.,]+ [KMG]?B) \(")
    rows = [cell for cell in cells[cells.index("Symbol Name") + 1:] if cell.strip()]
    shown = []
    for i in range(len(rows) - 2):
        if (amount.match(rows[i]) and amount.match(rows[i + 1]) and
                not rows[i + 1].startswith("0 B ")):
            shown.append((amount.match(rows[i + 1]).group(1), rows[i + 2]))
    return shown, total


# READER: the format, what reads it, the names of the report's sums, how a number is shown.
READERS = {
    "csv": ("csv", read_csv, None, None),
    "text": ("text", read_text, None, kib),
    "html": ("html", read_html, None, None),
    "awk": ("folded", read_folded, None, None),
    "ms_print": ("massif", read_massif, None, None),
    "callgrind_annotate": ("callgrind", read_callgrind, file_and_function_of, None),
    "dhat-json": ("dhat", read_dhat, None, None),
    "speedscope-json": ("speedscope", read_speedscope, function_of, None),
    "protoc": ("pprof", read_protoc, path_and_line_of, None),
    "pprof": ("pprof", read_go, path_and_line_of, None),
    "dh_view": ("dhat", read_dh_view, None, None),
    "speedscope": ("speedscope", read_speedscope_app, function_and_line_of, shown_bytes),
}


def plain(name):
    """Of a function with its line, the function."""
    return name if isinstance(name, str) else name[0]


def top(sums):
    return sorted(((value, name) for name, value in sums.items() if value),
                  key=lambda row: (-row[0], str(row[1])))[:TOP]


def compare(reader, reports, exported, scratch, show):
    form, read, name, shown = READERS[reader]
    file = os.path.join(scratch, "exported." + reader)
    command = [reports.tracealloc, "export", "--format=" + form, "--show=" + show, "--report", file]
    command += ["--top=1000000000"] if form in ("csv", "text") else []
    output_of(*command, exported)
    sums, total = read(file, show)
    want, want_total = reports.sums(show, name) if name else reports.lines(show)
    want_top = top(want)
    got_top = sums[:TOP] if shown else top(sums)
    if shown and len(got_top) != len(want_top):
        raise Different("there are %d rows, not %d" % (len(got_top), len(want_top)))
    if shown:
        # Of rows that are equal any may come first.
        rows = {(shown(value), plain(name)) for name, value in want.items()}
        want_top = [row if row in rows and row[0] == shown(value) else (shown(value), plain(name))
                    for row, (value, name) in zip(got_top, want_top)]
        want_total = shown(want_total)
    if total != want_total:
        raise Different("the sum is %s, not %s" % (total, want_total))
    if got_top != want_top:
        raise Different("the first rows are\n%s\nnot\n%s" % (got_top, want_top))
    return len(want), want_total


def main():
    tracealloc, scratch, show, exported, reported = sys.argv[1:6]
    reports, differ = Reports(tracealloc, reported), False
    for reader in sys.argv[6:]:
        try:
            rows, total = compare(reader, reports, exported, scratch, show)
            print("  %-20s %6d rows %12s bytes: same sum, same first %d" %
                  (reader, rows, total, min(TOP, rows)))
        except Different as difference:
            differ = True
            print("  %-20s DIFFERENT: %s" % (reader, difference))
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
