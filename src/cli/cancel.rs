//! `advrec cancel`: stops the running sweep of a database, wherever it runs.

use super::{Context, exit};
use crate::run::slurm::{self, Detached, Spool, Sweep, Wish};
use crate::store::{Database, OpenSweep, SweepLock, lock::host};
use std::path::Path;
use std::time::{Duration, Instant};

/// Arguments of `advrec cancel`.
#[derive(clap::Args)]
pub struct Args {
    /// Seconds to wait for the sweep to end
    #[arg(long, default_value_t = 120, value_name = "SECONDS")]
    wait: u32,
}

/// Runs the command; returns the exit code.
pub fn run(args: Args, context: &Context) -> anyhow::Result<u8> {
    let database = std::path::absolute(&context.db)?;
    let store = std::path::absolute(&context.store)?;
    let was_waiting = cancel_waiting_orchestrators(&store, &database)?;
    let open = match context.db.is_file() || !was_waiting {
        true => Database::open_readonly(&context.db)?.open_sweep()?,
        false => None,
    };
    let spools = Spool::of_database(&store, &database);
    let Some(sweep) = open.filter(|sweep| !is_dead(sweep, &context.db)) else {
        let left = cancel_left_over(&spools)?;
        if !was_waiting && !left {
            println!("no sweep of {} runs", context.db.display());
        }
        return Ok(exit::DONE);
    };
    if sweep.launcher == "slurm" {
        for (spool, _) in &spools {
            slurm::write(&spool.wish(), &Wish { cancel: true })?;
        }
        println!("asked the sweep and its Slurm jobs to stop; waiting for them");
    } else if sweep.host == host() {
        // SAFETY: kill touches no memory; whoever holds the sweep lock on this machine has this number.
        if unsafe { libc::kill(sweep.process as i32, libc::SIGINT) } != 0 {
            return Err(std::io::Error::last_os_error().into());
        }
        println!("asked process {} to stop; waiting for it", sweep.process);
    } else {
        println!(
            "the sweep is process {process} on {host}: press ctrl-c there, or run `kill -INT {process}` \
             on {host}",
            process = sweep.process,
            host = sweep.host
        );
        return Ok(exit::FAILED);
    }
    await_end(&sweep, &spools, Duration::from_secs(args.wait.into()), context)
}

/// Waits until the sweep has recorded its end.
fn await_end(
    sweep: &OpenSweep,
    spools: &[(Spool, Sweep)],
    patience: Duration,
    context: &Context,
) -> anyhow::Result<u8> {
    let start = Instant::now();
    while start.elapsed() < patience {
        let ending = Database::open_readonly(&context.db)?.sweep_ending(sweep.id)?;
        if let Some(ending) = ending {
            println!("the sweep has ended ({ending}); `advrec sweep` goes on from there");
            return Ok(exit::DONE);
        }
        if is_dead(sweep, &context.db) {
            cancel_left_over(spools)?;
            println!("the sweep was killed; `advrec sweep` goes on from there");
            return Ok(exit::DONE);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    println!(
        "the sweep (process {} on {}) has not ended in {} s",
        sweep.process,
        sweep.host,
        patience.as_secs()
    );
    if cancel_left_over(spools)? {
        println!("its orchestrator may submit others if it lives: stop it there");
    }
    Ok(exit::FAILED)
}

/// Whether the process of a sweep on this machine is gone: nobody holds the lock.
fn is_dead(sweep: &OpenSweep, database: &Path) -> bool {
    sweep.host == host() && SweepLock::acquire(database).is_ok()
}

/// Cancels the jobs of sweeps whose orchestrator is gone; whether there were any.
fn cancel_left_over(spools: &[(Spool, Sweep)]) -> anyhow::Result<bool> {
    for (spool, Sweep { name, .. }) in spools {
        slurm::cancel_all(name)?;
        spool.remove();
        println!("cancelled the Slurm jobs that were left ({name})");
    }
    Ok(!spools.is_empty())
}

/// Cancels orchestrators that were submitted as jobs and have not begun; whether there were any.
fn cancel_waiting_orchestrators(store: &Path, database: &Path) -> anyhow::Result<bool> {
    let mut any = false;
    for detached in Detached::of_database(store, database) {
        let queued = slurm::queue(&detached.name)?;
        match queued.iter().find(|queued| queued.job == detached.job) {
            Some(queued) if queued.state == "PD" => {
                slurm::cancel(std::slice::from_ref(&detached.job))?;
                println!("cancelled Slurm job {}, an orchestrator that waited", detached.job);
                any = true;
            }
            Some(_) => continue,
            None => {}
        }
        detached.forget(store);
    }
    Ok(any)
}
