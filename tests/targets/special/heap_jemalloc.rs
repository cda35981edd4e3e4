// SPDX-License-Identifier: MIT

// Vectors from jemalloc, through the functions that its Rust crates use; what the program asks for is
// counted here and written to the file of COUNTER: tests/e2e/languages.c.
use std::alloc::{GlobalAlloc, Layout};
use std::ffi::c_void;
use std::sync::atomic::{AtomicUsize, Ordering};

extern "C" {
    fn mallocx(size: usize, flags: i32) -> *mut c_void;
    fn rallocx(block: *mut c_void, size: usize, flags: i32) -> *mut c_void;
    fn sdallocx(block: *mut c_void, size: usize, flags: i32);
}

struct Jemalloc;

static MADE: AtomicUsize = AtomicUsize::new(0);

fn flags(layout: Layout) -> i32 {
    layout.align().trailing_zeros() as i32
}

unsafe impl GlobalAlloc for Jemalloc {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        MADE.fetch_add(1, Ordering::Relaxed);
        mallocx(layout.size(), flags(layout)) as *mut u8
    }
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        MADE.fetch_add(1, Ordering::Relaxed);
        rallocx(block as *mut c_void, size, flags(layout)) as *mut u8
    }
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        sdallocx(block as *mut c_void, layout.size(), flags(layout))
    }
}

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() {
    let mut kept: Vec<Vec<u8>> = Vec::with_capacity(1000);
    let path = std::env::var("COUNTER").unwrap();
    for i in 0..1000usize {
        kept.push(vec![1u8; 100 + i]);
    }
    println!("{}", kept.len());
    let made = MADE.load(Ordering::Relaxed);
    std::fs::write(path, format!("counted {}\n", made)).unwrap();
}
