// SPDX-License-Identifier: MIT

// Vectors on a known line: tests/e2e/languages.c.
fn main() {
    let mut kept: Vec<Vec<u8>> = Vec::with_capacity(1000);
    for i in 0..1000usize {
        kept.push(vec![1u8; 100 + i]);
    }
    println!("{}", kept.len());
}
