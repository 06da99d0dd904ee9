//! `advrec cancel`: stops the running sweep of a database, wherever it runs.

use super::{Context, exit};
use crate::live::wording;
use crate::run::slurm::{self, Detached, Spool, Sweep, Wish};
use crate::store::{Database, LockError, SweepLock, SweepStatus, lock::host};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Arguments of `advrec cancel`.
#[derive(clap::Args)]
pub struct Args {
    /// Seconds to wait for the sweep to end
    #[arg(long, default_value_t = 120, value_name = "SECONDS")]
    wait: u32,
}

/// Where a sweep is found, absolute.
struct Place {
    database: PathBuf,
    store: PathBuf,
}

/// Runs the command; returns the exit code.
pub fn run(args: Args, context: &Context) -> anyhow::Result<u8> {
    let place = Place {
        database: std::path::absolute(&context.db)?,
        store: std::path::absolute(&context.store)?,
    };
    let was_waiting = cancel_waiting_orchestrators(&place)?;
    let last = match context.db.is_file() || !was_waiting {
        true => Database::open_readonly(&context.db)?.last_sweep()?,
        false => None,
    };
    let running = last.filter(|sweep| sweep.ended.is_none() && !is_dead(sweep, &context.db));
    let Some(sweep) = running else {
        let left = cancel_left_over(&place)?;
        if !was_waiting && !left {
            writeln!(io::stdout(), "no sweep of {} runs", context.db.display())?;
        }
        return Ok(exit::DONE);
    };
    let SweepStatus { process, host: machine, .. } = &sweep;
    if sweep.launcher == "slurm" {
        writeln!(io::stdout(), "asked the sweep and its Slurm jobs to stop; waiting for them")?;
    } else if *machine != host() {
        writeln!(
            io::stdout(),
            "the sweep is process {process} on {machine}: press ctrl-c there, or run `kill -INT \
             {process}` on {machine}"
        )?;
        return Ok(exit::FAILED);
    } else if let Some(process) = i32::try_from(*process).ok().filter(|&p| p > 0)
        && is_holder(process, &context.db)
    {
        // SAFETY: kill touches no memory; the process holds the sweep lock, so the number is its own.
        if unsafe { libc::kill(process, libc::SIGINT) } != 0 {
            return Err(std::io::Error::last_os_error().into());
        }
        writeln!(io::stdout(), "asked process {process} to stop; waiting for it")?;
    } else {
        writeln!(
            io::stdout(),
            "another sweep of {} is about to begin; try again",
            context.db.display()
        )?;
        return Ok(exit::FAILED);
    }
    await_end(&sweep, &place, Duration::from_secs(args.wait.into()), context)
}

/// Waits until the sweep has recorded its end.
fn await_end(
    sweep: &SweepStatus,
    place: &Place,
    patience: Duration,
    context: &Context,
) -> anyhow::Result<u8> {
    let start = Instant::now();
    let mut asked = Vec::new();
    while start.elapsed() < patience {
        // At its beginning a sweep has no spool yet.
        for (spool, _) in spools(place) {
            if sweep.launcher == "slurm" && !asked.contains(&spool) {
                slurm::write(&spool.wish(), &Wish { cancel: true })?;
                asked.push(spool);
            }
        }
        match Database::open_readonly(&context.db).and_then(|db| db.sweep_numbered(sweep.id)) {
            Ok(Some(now)) if now.ended.is_some() => {
                writeln!(io::stdout(), "{}", wording::end(&now))?;
                return Ok(exit::DONE);
            }
            // Whoever writes it has locked it.
            Err(error) if !error.is_busy() => return Err(error.into()),
            _ => {}
        }
        if is_dead(sweep, &context.db) {
            cancel_left_over(place)?;
            writeln!(io::stdout(), "the sweep was killed; the same command goes on")?;
            return Ok(exit::DONE);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    writeln!(
        io::stdout(),
        "the sweep (process {} on {}) has not ended in {} s",
        sweep.process,
        sweep.host,
        patience.as_secs()
    )?;
    // An orchestrator that lives still needs the spool; one that is dead leaves it to the next.
    for (_, Sweep { name, .. }) in spools(place) {
        slurm::cancel_all(&name)?;
        writeln!(
            io::stdout(),
            "cancelled its Slurm jobs ({name}); if it lives it may submit others: stop it there"
        )?;
    }
    Ok(exit::FAILED)
}

fn spools(place: &Place) -> Vec<(Spool, Sweep)> {
    Spool::of_database(&place.store, &place.database)
}

/// Whether the process of a sweep on this machine is gone: nobody holds the lock.
fn is_dead(sweep: &SweepStatus, database: &Path) -> bool {
    sweep.host == host() && !SweepLock::is_held(database)
}

/// Whether this process of this machine holds the lock.
fn is_holder(process: i32, database: &Path) -> bool {
    let name = format!("process {process} on {}", host());
    matches!(SweepLock::acquire(database), Err(LockError::Held { holder, .. }) if holder == name)
}

/// Cancels the jobs of sweeps whose orchestrator is gone; whether there were any.
fn cancel_left_over(place: &Place) -> anyhow::Result<bool> {
    let spools = spools(place);
    for (spool, Sweep { name, .. }) in &spools {
        slurm::cancel_all(name)?;
        spool.remove();
        writeln!(io::stdout(), "cancelled the Slurm jobs that were left ({name})")?;
    }
    Ok(!spools.is_empty())
}

/// Cancels orchestrators that were submitted as jobs and have not begun; whether there were any.
fn cancel_waiting_orchestrators(place: &Place) -> anyhow::Result<bool> {
    let Place { database, store } = place;
    let mut any = false;
    for detached in Detached::of_database(store, database) {
        let queued = slurm::queue(&detached.name)?;
        match queued.iter().find(|queued| queued.job == detached.job) {
            Some(queued) if queued.state == "PD" => {
                slurm::cancel(std::slice::from_ref(&detached.job))?;
                writeln!(
                    io::stdout(),
                    "cancelled Slurm job {}, an orchestrator that waited",
                    detached.job
                )?;
                any = true;
            }
            Some(_) => continue,
            None => {}
        }
        detached.forget(store);
    }
    Ok(any)
}
