#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Opens HTML pages of real runs in a browser, and clicks and types at them.

html_browser.py TRACEALLOC BRANCHES DIRECTORY: TRACEALLOC is the program under test, BRANCHES a target
that makes as many call stacks as it is told. Prints one line a check; the status is 1 if one fails.
"""
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from browser import Browser  # noqa: E402

TRACEALLOC, BRANCHES, DIRECTORY = map(os.path.realpath, sys.argv[1:4])
SITES = 20000
SHOWS = ("peak", "current", "leaked", "total", "temporary")
GROUPS = ("line", "function", "file", "module")

HOSTILE = r'''
#include <stdlib.h>
# 1 "</script><script>document.title='owned'</script>.c"
void *danger(void) { return malloc(1000); }
# 7 "&lt;b&gt;\"quoted\" 'name' ‮gnp.c"
int main(void) { return !danger() || !malloc(77); }
'''


def path_of(name):
    return os.path.join(DIRECTORY, name)


def run(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def record(name, *command, options=()):
    """A snapshot of a run, and its page; their paths."""
    snapshot, page = path_of(name + ".snapshot"), path_of(name + ".html")
    run(TRACEALLOC, "run", "--output", snapshot, "--report", os.devnull, *options, "--", *command)
    run(TRACEALLOC, "export", "--format", "html", "--report", page, snapshot)
    return snapshot, page


def report(snapshot, *options):
    path = path_of("report.json")
    run(TRACEALLOC, "report", "--format", "json", "--top", "1000000000", "--report", path, *options, snapshot)
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def expect(condition, *words):
    if not condition:
        raise AssertionError(" ".join(map(str, words)))


def same(got, want, *words):
    expect(got == want, *words, "is", repr(got), "and not", repr(want))


def open_page(browser, page, **how):
    opened = browser.open("file://" + page, **how)
    opened.wait("document.documentElement.dataset.complete")
    opened.settle()
    return opened


def click_label(page, value):
    page.click("input[value=%s] + span" % json.dumps(value))


def rows_of(page):
    """What the table has: [label, bytes, share, blocks, ...] as they are read."""
    return page.evaluate(
        "[...document.querySelectorAll('#table tbody tr:not(.detail)')].map((tr) =>"
        "[tr.querySelector('.name').textContent, ...[...tr.querySelectorAll('td')].map((td) => td.textContent)])")


def size_text(page, value):
    return page.evaluate("Format.size(%d)" % value)


def figures_equal_those_of_the_report(browser, snapshot, path):
    page = open_page(browser, path)
    compared = 0
    for show in SHOWS:
        for group in GROUPS:
            for cumulative in (False, True):
                want = report(snapshot, "--show", show, "--group-by", group, *(["--cumulative"] if cumulative else []))
                got = page.evaluate(
                    "(() => { const a = Query.run({show: '%s', group: '%s', cumulative: %s});"
                    "return {rows: a.rows.map((r) => [r.label, r.bytes, r.blocks]), bytes: a.sums.bytes, blocks: a.sums.blocks}; })()"
                    % (show, group, str(cumulative).lower()))
                rows = [[row["label"], row["bytes"] or 0, row["blocks"]] for row in want["rows"]]
                same(sorted(got["rows"]), sorted(rows), show, group)
                same([row[1:] for row in got["rows"]], [row[1:] for row in rows], "order of", show, group)
                same(got["bytes"], want["shown_bytes"] or 0, show, "bytes")
                same(got["blocks"], want["shown_blocks"], show, "blocks")
                compared += len(rows)
    facts = page.evaluate("(() => { const a = Query.run({show: 'temporary', group: 'module', cumulative: false});"
                          "return [a.sums.total_blocks, a.sums.temporary_blocks]; })()")
    totals = report(snapshot)["totals"]
    same(facts, [totals["total_blocks"], totals["temporary_blocks"]], "all blocks beside the temporary ones")
    page.close()
    return "%d rows compared" % compared


def the_table_shows_them(browser, snapshot, path):
    page = open_page(browser, path)
    for show in ("peak", "leaked", "total"):
        click_label(page, show)
        for group in GROUPS:
            click_label(page, group)
            want = report(snapshot, "--show", show, "--group-by", group)["rows"]
            got = rows_of(page)
            same([row[0] for row in got], [row["label"] for row in want][: len(got)], "labels by", group)
            same([row[1] for row in got], [size_text(page, row["bytes"]) for row in want][: len(got)], "sizes by", group)
            same([row[3] for row in got], ["{:,}".format(row["blocks"]) for row in want][: len(got)], "blocks by", group)
    page.close()


def the_table_sorts_and_filters(browser, snapshot, path):
    page = open_page(browser, path)
    click_label(page, "function")
    sort = "document.querySelector('th[data-column=%s]').getAttribute('aria-sort')"
    same(page.evaluate(sort % "bytes"), "descending", "aria-sort at first")
    page.click("th[data-column=where] button")
    same(page.evaluate(sort % "where"), "ascending", "aria-sort of names")
    same(page.evaluate(sort % "bytes"), "none", "aria-sort of bytes")
    names = [row[0] for row in rows_of(page)]
    same(names, sorted(names), "names")
    page.click("th[data-column=blocks] button")
    blocks = [int(row[3].replace(",", "")) for row in rows_of(page)]
    same(blocks, sorted(blocks, reverse=True), "blocks")
    page.click("th[data-column=blocks] button")
    same(page.evaluate(sort % "blocks"), "ascending", "aria-sort, the other way")
    page.evaluate("document.querySelector('#filter').focus()")
    page.type(names[0][:6])
    page.settle()
    expect(all(names[0][:6].lower() in row[0].lower() for row in rows_of(page)) and rows_of(page), "filtered", rows_of(page))
    expect(" match" in page.evaluate("document.querySelector('#table-status').textContent"), "the status")
    page.close()


def a_row_opens_by_the_keyboard(browser, snapshot, path):
    page = open_page(browser, path)
    page.evaluate("document.querySelector('#table tbody .where').focus()")
    page.key("Enter")
    same(page.evaluate("document.activeElement.getAttribute('aria-expanded')"), "true", "aria-expanded")
    here = page.evaluate("document.querySelector('.source .here').textContent")
    expect("malloc(" in here, "the marked line", here)
    same(page.evaluate("document.querySelectorAll('.source > div').length"), 7, "lines of source")
    first = page.evaluate("document.querySelector('.stack li').textContent")
    expect(first.startswith("allocate ("), "the innermost call", first)
    page.key("Enter")
    same(page.evaluate("document.querySelectorAll('tr.detail').length"), 0, "open rows")
    page.close()


def the_graph_is_zoomed_and_searched(browser, snapshot, path):
    page = open_page(browser, path)
    read = "document.querySelector('#graph-readout').textContent"
    page.evaluate("document.querySelector('#graph canvas').focus()")
    page.key("ArrowDown")
    first = page.evaluate(read)
    expect(first, "the box below is told")
    for _ in range(3):
        page.key("ArrowDown")
    page.key("Enter")
    expect(not page.evaluate("document.querySelector('#reset').disabled"), "the button for the whole graph")
    page.key("Escape")
    page.click("#reset")
    expect(page.evaluate("document.querySelector('#reset').disabled"), "the whole graph is back")
    before = page.evaluate("document.querySelector('#graph canvas').toDataURL()")
    height = page.evaluate("document.querySelector('#graph canvas').clientHeight")
    page.click("#graph canvas", 0.1, 3.5 * 21 / height)
    expect(page.evaluate(read), "the box that was clicked is told")
    expect(before != page.evaluate("document.querySelector('#graph canvas').toDataURL()"), "the graph has changed")
    page.click("#reset")
    rows = report(snapshot, "--show", "peak", "--group-by", "traceback")["rows"]
    want = sum(row["bytes"] for row in rows if any("ash" in (f["function"] or "") for f in row["frames"]))
    page.evaluate("document.querySelector('#search').focus()")
    page.type("ash")
    said = page.evaluate(read)
    expect("found in " + size_text(page, want) in said, "search:", said, "and not", size_text(page, want))
    searched = page.evaluate("document.querySelector('#graph canvas').toDataURL()")
    page.click("#inverted")
    expect(searched != page.evaluate("document.querySelector('#graph canvas').toDataURL()"), "the inverted graph is another")
    page.close()
    return "found " + said.split("found in ")[1]


def the_timeline_is_read_by_the_keyboard(browser, snapshot, path):
    page = open_page(browser, path)
    page.evaluate("document.querySelector('#timeline svg').focus()")
    page.key("End")
    said = page.evaluate("document.querySelector('#timeline svg').getAttribute('aria-valuetext')")
    expect(" in " in said and "block" in said, "the end of the line", said)
    page.key("Home")
    expect(said != page.evaluate("document.querySelector('#timeline svg').getAttribute('aria-valuetext')"), "its beginning")
    page.evaluate("document.querySelector('#timeline-legend button').click()")
    same(page.evaluate("document.activeElement.getAttribute('aria-expanded')"), "true", "the row that a legend leads to")
    page.close()


def marks_stand_on_the_timeline(browser):
    """Those that a program sets by itself; and a thousand of them, which cannot all be told apart."""
    evil = "<img src=x onerror=alert(1)>" + "-and-without-a-blank" * 4
    few = "ctl() { %s ctl $$ \"$@\"; }; ctl mark begin; ctl mark '%s'; ctl reset-peak; ls -l /usr/bin" % (TRACEALLOC, evil)
    for name, script, count in (("marks", few, 3), ("crowd", "for i in $(seq 200); do %s ctl $$ mark mark-$i; done" % TRACEALLOC, 200)):
        path = record(name, "sh", "-c", script, options=("--follow", "none"))[1]
        page = open_page(browser, path)
        same(page.evaluate("document.querySelectorAll('#timeline .mark').length"), count, "marks on the line")
        same(page.evaluate("document.querySelectorAll('#timeline-marks tbody tr').length"), count, "marks in the list")
        same(page.evaluate("document.querySelector('#timeline-marks summary').textContent"), "%d marks" % count, "the list's head")
        same(page.evaluate("document.querySelectorAll('img').length"), 0, "names that became markup")
        names = page.evaluate("[...document.querySelectorAll('#timeline-marks tbody th')].map((e) => e.textContent)")
        wide = page.evaluate("[...document.querySelectorAll('#timeline .mark-text')].some((e) => {"
                             "const b = e.getBBox(); return [...document.querySelectorAll('#timeline .mark')].some((line) => {"
                             "const x = Number(line.getAttribute('x1')); return x > b.x + 3 && x < b.x + b.width - 3; }); })")
        same(wide, False, "names that run over the next mark")
        said = page.evaluate(
            "(() => { const line = document.querySelector('#timeline svg'), said = [];"
            "for (let i = 0; i < Data.timeline.count; i++) {"
            "line.dispatchEvent(new KeyboardEvent('keydown', {key: i ? 'ArrowRight' : 'Home'}));"
            "said.push(line.getAttribute('aria-valuetext')); } return said; })()")
        expect(all(any(one in words for words in said) for one in names), "each mark is told by the keyboard")
        page.close()
        if name == "marks":
            same(names, ["begin", evil, "peak reset"], "names")
            page = open_page(browser, path, width=420)
            page.evaluate("document.querySelector('#timeline-marks').open = true; 1")
            same(page.evaluate("document.documentElement.scrollWidth"), 420, "the page's width with a long name")
            page.close()


def everything_has_a_name_and_the_page_stays_narrow(browser, snapshot, path):
    for width in (1280, 420):
        page = open_page(browser, path, width=width)
        nameless = page.evaluate(
            "[...document.querySelectorAll('button, input, canvas, svg[tabindex]')].filter((e) => !e.hidden && !("
            "e.textContent.trim() || e.getAttribute('aria-label') || (e.labels && e.labels.length))).map((e) => e.outerHTML)")
        same(nameless, [], "nameless controls")
        same(page.evaluate("document.documentElement.scrollWidth"), width, "the page's width")
        same(page.evaluate("document.documentElement.lang"), "en", "the language")
        page.close()


def colours_change(browser, snapshot, path):
    paper = "getComputedStyle(document.body).backgroundColor"
    page = open_page(browser, path)
    light = page.evaluate(paper)
    page.click("#theme")
    page.click("#theme")
    dark = page.evaluate(paper)
    expect(light != dark, "dark by the button")
    page.close()
    page = open_page(browser, path, dark=True)
    same(page.evaluate(paper), dark, "dark by the system")
    page.close()


def hostile_names_are_text(browser):
    source, program = path_of("hostile.c"), path_of("hostile")
    with open(source, "w", encoding="utf-8") as file:
        file.write(HOSTILE)
    run("gcc", "-g", "-O0", "-S", "-o", source[:-1] + "s", source)
    with open(source[:-1] + "s", encoding="utf-8") as file:
        text = file.read().replace('.string\t"danger"', '.string\t"<img src=x onerror=alert(1)>"')
    expect("<img" in text, "the function's name in the assembly")
    with open(source[:-1] + "s", "w", encoding="utf-8") as file:
        file.write(text)
    run("gcc", "-g", "-o", program, source[:-1] + "s")
    snapshot, path = record("hostile", program, "</script><script>document.title='owned'</script>", "‮")
    page = open_page(browser, path)
    expect("owned" not in page.evaluate("document.title"), "the title")
    same(page.evaluate("document.querySelectorAll('script').length"), 2, "scripts")
    same(page.evaluate("document.querySelectorAll('img, b, iframe').length"), 0, "foreign elements")
    labels = [row[0] for row in rows_of(page)]
    expect(any(label.startswith("</script><script>document.title='owned'</script>.c:1") for label in labels), "labels", labels)
    shown = page.evaluate("document.querySelector('#table').textContent")
    expect("<img src=x onerror=alert(1)>" in shown, "the function's name", shown)
    expect(any("\\u{202e}" in label for label in labels), "what turns text round is told", labels)
    for row in range(len(labels)):
        page.evaluate("document.querySelectorAll('#table tbody .where')[%d].click()" % row)
    same(page.evaluate("document.querySelectorAll('img, b, iframe').length"), 0, "foreign elements in rows")
    same(page.events("Page.javascriptDialogOpening"), [], "dialogs")
    same(len(page.requests()), 1, "requests")
    page.close()


def nothing_is_requested_or_refused(browser, snapshot, path):
    page = open_page(browser, path)
    same(page.requests(), ["file://" + path], "requests")
    same(page.events("Runtime.exceptionThrown"), [], "errors")
    same(page.events("Log.entryAdded"), [], "what the browser objects to")
    injected = page.evaluate(
        "(() => { const s = document.createElement('script'); s.textContent = 'window.injected = 1';"
        "document.body.append(s); return typeof window.injected; })()")
    same(injected, "undefined", "a script of someone else's")
    page.close()


def many_sites_open_quickly(browser):
    """What is limited is the time that the page's own thread is busy; the machine may be so with more."""
    snapshot, path = record("many", BRANCHES, str(SITES))
    times = []
    for _ in range(5):
        page = open_page(browser, page_of_nothing(), measured=True)
        page.go("file://" + path)
        page.wait("location.href.endsWith('many.html') && document.documentElement.dataset.complete")
        page.settle()
        busy = page.metrics()["TaskDuration"]  # since it was gone to
        expect(page.evaluate("Data.sites.count") >= SITES, "sites")
        times.append((busy, *(int(page.evaluate("document.documentElement.dataset." + key)) for key in ("ready", "complete"))))
        page.close()
    best = min(times)
    said = "%d call stacks, %.1f MB: busy for %.2f s; table after %d ms, all after %d ms" % (
        SITES, os.path.getsize(path) / 1e6, *best)
    expect(best[0] < 1, said)
    return said


def page_of_nothing():
    """A page of a run that allocates next to nothing."""
    return record("nothing", "true")[1]


def main():
    failed = 0
    snapshot, path = record("some", BRANCHES, "3000")
    with Browser() as browser:
        for check, arguments in (
                (figures_equal_those_of_the_report, (snapshot, path)),
                (the_table_shows_them, (snapshot, path)),
                (the_table_sorts_and_filters, (snapshot, path)),
                (a_row_opens_by_the_keyboard, (snapshot, path)),
                (the_graph_is_zoomed_and_searched, (snapshot, path)),
                (the_timeline_is_read_by_the_keyboard, (snapshot, path)),
                (marks_stand_on_the_timeline, ()),
                (everything_has_a_name_and_the_page_stays_narrow, (snapshot, path)),
                (colours_change, (snapshot, path)),
                (nothing_is_requested_or_refused, (snapshot, path)),
                (hostile_names_are_text, ()),
                (many_sites_open_quickly, ())):
            name = check.__name__.replace("_", " ")
            try:
                said = check(browser, *arguments)
                print("ok      %s%s" % (name, ": " + said if said else ""), flush=True)
            except Exception as error:
                failed += 1
                print("FAILED  %s: %s" % (name, error), flush=True)
    return 1 if failed else 0


sys.exit(main())
