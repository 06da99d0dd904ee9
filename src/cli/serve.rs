//! `advrec serve`: the report and the running sweep as a page on this machine.

use super::status::no_grid;
use super::{BadInput, Context, Output, exit};
use crate::live::{LiveError, Server, Site};
use crate::run::Interrupts;
use crate::store::Database;
use anyhow::Context as _;
use serde_json::json;
use std::io::{self, ErrorKind, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::mpsc;

/// Arguments of `advrec serve`.
#[derive(clap::Args)]
pub struct Args {
    /// Only results of the grid with this name
    #[arg(long, value_name = "NAME")]
    grid: Option<String>,
    /// The port; 0 for any that is free
    #[arg(long, default_value_t = 7878, value_name = "NUMBER")]
    port: u16,
    /// Listen at this address; everyone who reaches it can read the page
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST), value_name = "ADDRESS")]
    address: IpAddr,
}

/// Runs the command until it is interrupted; returns the exit code.
pub fn run(args: Args, context: &Context) -> anyhow::Result<u8> {
    let unknown = Database::glance(&context.db, |db| -> anyhow::Result<_> {
        let grid = args.grid.as_deref();
        match grid
            .is_some_and(|name| !db.grid_names().is_ok_and(|all| all.iter().any(|n| n == name)))
        {
            true => Ok(Some(no_grid(grid, db, context)?)),
            false => Ok(None),
        }
    })?;
    if let Some(error) = unknown {
        return Err(error.into());
    }
    let site = Site::new(context.db.clone(), args.grid);
    let server = Server::bind(SocketAddr::new(args.address, args.port), site).map_err(explained)?;
    let address = server.address();
    // Before anybody is told that it serves: whoever is told may stop it.
    let (interrupted, interrupts) = mpsc::channel();
    let failed = interrupted.clone();
    let _listening = Interrupts::listen(move || {
        let _ = interrupted.send(Ok(()));
    })?;
    if !args.address.is_loopback() {
        tell!(
            "warning: everyone who reaches {address} can read the results; nothing asks for a password"
        );
    }
    let database = context.db.display();
    let mut out = io::stdout().lock();
    match context.output {
        Output::Human => {
            writeln!(out, "serving {database} at http://{address}/ (read-only; Ctrl-C to stop)")?;
        }
        Output::Json => {
            let url = format!("http://{address}/");
            let (address, port) = (address.ip().to_string(), address.port());
            let about = json!({
                "database": database.to_string(), "url": url, "address": address, "port": port
            });
            writeln!(out, "{about}")?;
        }
    }
    out.flush()?;
    std::thread::Builder::new()
        .name("server".to_owned())
        .spawn(move || {
            let _ = failed.send(server.serve());
        })
        .context("could not start a thread")?;
    // Its threads end with the process.
    match interrupts.recv() {
        Ok(Err(error)) => Err(error).context("could not wait for connections"),
        Ok(Ok(())) | Err(_) => Ok(exit::DONE),
    }
}

/// What is to be done where an address cannot be listened at.
fn explained(error: LiveError) -> anyhow::Error {
    let LiveError::Listen { address, source } = &error else { return error.into() };
    let what = match source.kind() {
        ErrorKind::AddrInUse => "it is in use; choose another --port, or 0 for any that is free",
        ErrorKind::AddrNotAvailable => {
            "this machine has no such address; --address 0.0.0.0 stands for all that it has"
        }
        ErrorKind::PermissionDenied => "it is not allowed; choose a --port of 1024 or more",
        _ => return error.into(),
    };
    BadInput(format!("could not listen at {address}: {what}")).into()
}
