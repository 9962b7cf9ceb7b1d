#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod floors;
mod history;
mod record;
