// SPDX-License-Identifier: MIT

// Allocates through cgo on a known line, from several threads: tests/e2e/languages.c.
package main

/*
#include <stdlib.h>
#include <string.h>

static void *grab(size_t size)
{
	return memset(malloc(size), 1, size);
}
*/
import "C"

import (
	"fmt"
	"sync"
	"unsafe"
)

func main() {
	var all sync.WaitGroup
	for worker := 0; worker < 4; worker++ {
		all.Add(1)
		go func() {
			defer all.Done()
			var kept []unsafe.Pointer
			for i := 0; i < 500; i++ {
				kept = append(kept, C.grab(C.size_t(1000+i)))
			}
			for _, one := range kept {
				C.free(one)
			}
		}()
	}
	all.Wait()
	fmt.Println("done")
}
