// SPDX-License-Identifier: MIT
// What dictionary.cc does, in Rust: counts made-up words and keeps where each stands.
use std::collections::BTreeMap;

fn word(number: u64) -> String {
    let mixed = number.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407) >> 33;
    format!("word{}", mixed % 1000)
}

fn main() {
    let count: u64 = std::env::args().nth(1).map_or(1000, |text| text.parse().unwrap());
    let mut places: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for place in 0..count {
        places.entry(word(place)).or_default().push(place);
    }
    let longest = places.values().map(Vec::len).max().unwrap_or(0);
    println!("{} words, at most {} times", places.len(), longest);
}
