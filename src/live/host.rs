//! Which names a page on this machine answers to. A page elsewhere could let its own name point here and
//! read what we say to it as if it were its own; a browser tells such a request by its `Host`.

use std::net::{IpAddr, Ipv6Addr};

/// Whether a `Host` header names this machine by what only this machine is. The port is free: that of a
/// tunnel (`ssh -L`) differs from ours.
pub fn is_local(host: &str) -> bool {
    let Some(name) = name(host) else { return false };
    match name.parse::<IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => name.trim_end_matches('.').eq_ignore_ascii_case("localhost"),
    }
}

/// The name or address in a `Host` header; `None` where it is none.
fn name(host: &str) -> Option<&str> {
    let is_port = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(rest) = host.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        let port = port.strip_prefix(':').unwrap_or(port);
        return (address.parse::<Ipv6Addr>().is_ok() && is_port(port)).then_some(address);
    }
    let (name, port) = host.split_once(':').unwrap_or((host, ""));
    is_port(port).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_this_machine_are_told_from_others() {
        for host in [
            "localhost",
            "LocalHost:7878",
            "localhost.:80",
            "127.0.0.1",
            "127.0.0.1:7878",
            "127.3.2.1:1",
            "[::1]",
            "[::1]:7878",
        ] {
            assert!(is_local(host), "{host}");
        }
        for host in [
            "",
            ":7878",
            "example.org",
            "localhost.example.org",
            "127.0.0.1.example.org:7878",
            "127.0.0.1:7878.example.org",
            "localhost:7878@example.org",
            "192.168.1.2",
            "0.0.0.0:7878",
            "[::2]:7878",
            "[::1",
            "[::1]x",
            "::1",
        ] {
            assert!(!is_local(host), "{host}");
        }
    }
}
