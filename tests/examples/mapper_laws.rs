//! Every mapper put through the laws of mappers, on random kernels and devices: which hold, and what breaks the first that does not.
//! `DERATE_CASES=1000 cargo run -p derate-tests --example mapper_laws`, or with the names of some mappers.

use derate_tests::mappers::MAPPERS;

fn main() {
    let cases = std::env::var("DERATE_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(10_000);
    let named: Vec<String> = std::env::args().skip(1).collect();
    for (name, verdict) in MAPPERS {
        if !named.is_empty() && !named.iter().any(|of| of == name) {
            continue;
        }
        match verdict(cases) {
            Ok(()) => println!("{name:<12} every law holds"),
            Err(broken) if named.is_empty() => println!("{name:<12} {}", broken.lines().next().unwrap_or_default()),
            // Of those that were asked for, the whole case.
            Err(broken) => println!("{name:<12} {broken}"),
        }
    }
}
