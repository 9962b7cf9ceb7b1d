#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod cli;
mod crash;
mod floors;
mod history;
mod process;
mod record;
mod serve;
