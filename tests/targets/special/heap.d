// SPDX-License-Identifier: MIT

// Allocates through the C library on a known line, beside its own collector: tests/e2e/languages.c.
import core.stdc.stdlib;
import std.stdio;

void main()
{
    int[][] collected;
    void*[] kept;
    foreach (i; 0 .. 1000) {
        collected ~= new int[](100);
        kept ~= malloc(100 + i);
    }
    foreach (one; kept)
        free(one);
    writeln(collected.length);
}
