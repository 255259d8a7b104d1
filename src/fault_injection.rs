//! Fault injection: what tests ask of a worker through its environment. A release reads none of these variables.

/// What a test has put into `variable`. Nothing, unless the program was built with the feature `testing`.
pub fn wanted(variable: &str) -> Option<String> {
    if cfg!(feature = "testing") { std::env::var(variable).ok().filter(|text| !text.is_empty()) } else { None }
}
