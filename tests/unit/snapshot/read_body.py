# SPDX-License-Identifier: MIT
"""Reads the body of a snapshot by its manual page alone, and prints every record.

Arguments: the page, a file with a body. A line: TAG, then the fields of a record in their order;
numbers in decimal, strings in brackets, "-" for none. Ends with status 1 where the page does not
describe every byte of a record, or the body is not as the page says.
"""
import re
import struct
import sys

SIZES = {"u32": 4, "i32": 4, "u64": 8, "i64": 8, "string": 4}
FORMATS = {"u32": "<I", "i32": "<i", "u64": "<Q", "i64": "<q", "string": "<I"}


def read_page(path):
    """{tag: (length of a record, [type of field])}; tables without fields are one string or u32."""
    sections, tag = {}, None
    for line in open(path, encoding="utf-8"):
        head = re.match(r"\.Ss ([A-Z]{4}): (\d+) bytes? a record", line)
        field = re.match(r"\.It (\d+) Ta (u32|u64|i32|i64|string)\b", line)
        if head:
            tag = head.group(1)
            sections[tag] = (int(head.group(2)), [])
        elif line.startswith(".Sh"):
            tag = None
        elif tag and field:
            offset = sum(SIZES[t] for t in sections[tag][1])
            if offset != int(field.group(1)):
                sys.exit("%s: a field at %s, not %d" % (tag, field.group(1), offset))
            sections[tag][1].append(field.group(2))
    sections["ARGV"][1].append("string")
    sections["STAK"][1].append("u32")
    for tag, (length, fields) in sections.items():
        if tag not in ("STRS", "MAPS") and sum(SIZES[t] for t in fields) != length:
            sys.exit("%s: %d bytes are described of %d" % (tag, sum(map(SIZES.get, fields)), length))
    return sections


def read_sections(body):
    at, found = 0, {}
    while at < len(body):
        tag, length, count = body[at : at + 4].decode(), *struct.unpack_from("<IQ", body, at + 4)
        found[tag] = (length, count, body[at + 16 : at + 16 + length * count])
        at += 16 + length * count
    if at != len(body):
        sys.exit("the last section ends at %d, not %d" % (at, len(body)))
    return found


def field_text(kind, value, strings):
    if kind != "string":
        return str(value)
    return "[%s]" % strings[value - 1].decode() if value else "-"


def main():
    sections = read_page(sys.argv[1])
    found = read_sections(open(sys.argv[2], "rb").read())
    # A body within the body: tests/unit/snapshot/file.c looks at it.
    sections.pop("MAPS")
    if set(found) != set(sections):
        sys.exit("sections: %s, not %s" % (sorted(found), sorted(sections)))
    strings = found["STRS"][2].split(b"\0")[:-1]
    for tag, (length, fields) in sections.items():
        if found[tag][0] != length:
            sys.exit("%s: records of %d bytes" % (tag, found[tag][0]))
        for i in range(found[tag][1] if fields else 0):
            at, texts = i * length, []
            for kind in fields:
                value = struct.unpack_from(FORMATS[kind], found[tag][2], at)[0]
                texts.append(field_text(kind, value, strings))
                at += SIZES[kind]
            print(tag, *texts)


main()
