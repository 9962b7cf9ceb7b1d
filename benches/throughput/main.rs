//! How fast the server is, each figure beside a bare baseline that is measured in the same run.
//!
//! Client and server share this process and its cores, and what the client does costs about as much as what the
//! server does; so the ratios are what counts, and the ratios are those of the whole machine, clients included.
//! `scripts/bench` runs this; `docs/BENCHMARKS.md` says what bounds each row.

mod commits;
mod cpu;
mod fill;
mod filters;
mod first;
mod fresh;
mod growth;
mod kept;
mod known;
mod line;
mod lists;
mod load;
mod measure;
mod ocsp;
mod revoke;
mod scene;
mod stage;
mod wire;

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use measure::{Plan, Row};
use scene::Scene;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Devices, each with one client of its own.
const DEVICES: usize = 128;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test` runs benches too, without this word: there is nothing to test here.
    if !arguments.iter().any(|argument| argument == "--bench") {
        println!("nothing is measured: run scripts/bench");
        return ExitCode::SUCCESS;
    }
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// `--quick` for a glance; a number runs that row alone; `growth` is a table of its own.
fn run(arguments: &[String]) -> Outcome<()> {
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let only: Option<u32> = arguments.iter().find_map(|argument| argument.parse().ok());
    let plan = if quick {
        Plan { rounds: 3, length: Duration::from_millis(400) }
    } else {
        Plan { rounds: 5, length: Duration::from_secs(2) }
    };
    let cores = thread::available_parallelism()?.get();
    let client = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores)
        .thread_name("client")
        .enable_all()
        .build()?;
    let words: Vec<&str> =
        arguments.iter().map(String::as_str).filter(|word| !word.starts_with("--")).collect();
    match words.as_slice() {
        ["growth"] => return growth::measure(&client, quick),
        ["grown", folder, size] => return growth::one(&client, Path::new(folder), size.parse()?, cores),
        _ => introduce(&plan, cores),
    }

    let wanted = |row| only.is_none_or(|only| only == row);
    if [1, 2, 3, 5].into_iter().any(wanted) {
        let scene = Scene::set(cores, DEVICES)?;
        if wanted(1) {
            fresh::measure(&scene, &client, &plan)?.print();
        }
        if wanted(2) {
            kept::measure(&scene, &client, &plan, cores)?.print();
        }
        if wanted(3) {
            ocsp::measure(&scene, &client, &plan)?.print();
        }
        if wanted(5) {
            line::measure(&scene, &client, &plan)?.print();
        }
        scene.strike();
    }
    if wanted(6) || wanted(7) {
        let certificates = if quick { 100_000 } else { 1_000_000 };
        known::measure(&client, &plan, certificates, cores, &wanted)?;
    }
    if wanted(12) || wanted(13) {
        revoke::measure(&client, &plan, cores)?.print();
    }
    if wanted(4) {
        commits::measure(&client, &plan)?.print();
    }
    if wanted(10) {
        // The record alone takes a minute to make.
        let entries = if quick { 100_000 } else { 1_000_000 };
        lists::measure(&client, &plan, entries)?.print();
    }
    if wanted(14) {
        let certificates = if quick { 100_000 } else { 1_000_000 };
        filters::measure(&client, &plan, certificates)?.print();
    }
    Ok(())
}

fn introduce(plan: &Plan, cores: usize) {
    let profile = if cfg!(debug_assertions) { "debug: these figures mean nothing" } else { "release" };
    println!("Vitae throughput: {cores} cores, {}, {}, {profile}", cpu::model(), env!("CARGO_PKG_VERSION"));
    println!(
        "{} interleaved rounds of {:.1?} for each side; client and server in one process on the same cores;",
        plan.rounds, plan.length
    );
    println!(
        "clients ask again as soon as they are answered; keys and requests are made outside the timed part."
    );
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("Compiler: {}. Load of the machine before: {}", compiler(), load.trim());
    Row::head();
}

/// The compiler that is installed, which is the one that has just built this.
fn compiler() -> String {
    let asked = std::process::Command::new("rustc").arg("--version").output();
    asked.map_or_else(
        |_| "unknown".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}
