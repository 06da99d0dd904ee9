//! `advrec report --conformance`: which claims of the paper hold, on results that are made up to show each
//! verdict.

#[path = "../lab/mod.rs"]
mod lab;
#[path = "../reported/mod.rs"]
mod reported;
#[path = "../swept/mod.rs"]
mod swept;

mod numbers;
mod settings;
mod verdicts;
mod world;
