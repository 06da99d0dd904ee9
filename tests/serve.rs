//! The page that `advrec serve` shows: what it answers, to whom, and that it changes nothing.

mod lab;

use lab::{Lab, PATIENCE, stop};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// A server that is killed when the test ends.
struct Served {
    child: Child,
    line: String,
    port: u16,
}

impl Served {
    fn start(lab: &Lab, args: &[&str]) -> Self {
        let mut command = lab.command(&[&["serve", "--port", "0"], args].concat());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let digits = line.split("http://").nth(1).and_then(|url| {
            let port = url.split('/').next()?.rsplit(':').next()?;
            port.parse().ok()
        });
        Self { port: digits.unwrap_or_else(|| panic!("no port in {line:?}")), line, child }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends these bytes and returns all of the answer.
    fn send(&self, bytes: &[u8]) -> Answer {
        let mut stream = self.connect();
        stream.write_all(bytes).unwrap();
        Answer::read(stream)
    }

    fn ask(&self, method: &str, target: &str) -> Answer {
        let port = self.port;
        let text = format!("{method} {target} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n");
        self.send(text.as_bytes())
    }

    fn get(&self, target: &str) -> Answer {
        self.ask("GET", target)
    }

    /// The live part.
    fn live(&self) -> String {
        let answer = self.get("/live");
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body
    }

    /// Waits until the live part is as it should be.
    fn live_when(&self, wanted: impl Fn(&str) -> bool) -> String {
        let start = Instant::now();
        loop {
            let live = self.live();
            if wanted(&live) {
                return live;
            }
            assert!(start.elapsed() < PATIENCE, "in vain:\n{live}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Ends it with a signal: exit code and standard error.
    fn end(mut self, signal: i32) -> (i32, String) {
        let start = Instant::now();
        stop(&self.child, signal);
        let status = self.child.wait().unwrap();
        assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
        let mut stderr = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        (status.code().unwrap_or(-1), stderr)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An answer, its headers by their names in small letters.
struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
}

impl Answer {
    fn read(mut stream: TcpStream) -> Self {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{text:?}"));
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.to_ascii_lowercase(), value.to_owned())
        });
        Self { status, headers: headers.collect(), body: body.to_owned() }
    }
}

/// A lab whose sweep of six stages has ended, one of them with a failure.
fn swept() -> Lab {
    let lab = Lab::new();
    let params = r#"{"3": {"fail": true}}"#;
    assert_eq!(lab.sweep(&["--noop", "6", "--noop-params", params]).0, 1);
    lab
}

/// A database that never had a sweep.
fn unswept() -> Lab {
    let lab = Lab::new();
    assert!(lab.run(&["data", "synth", "--name", "d", "--users", "20"]).status.success());
    lab
}

fn attribute<'a>(html: &'a str, name: &str) -> &'a str {
    let rest = html.split_once(&format!(" {name}=\"")).unwrap_or_else(|| panic!("{html}")).1;
    rest.split_once('"').unwrap().0
}

#[test]
fn the_page_shows_the_report_with_the_sweep_before_it() {
    let lab = swept();
    let served = Served::start(&lab, &[]);
    let told = format!(
        "serving advrec.db at http://127.0.0.1:{}/ (read-only; Ctrl-C to stop)\n",
        served.port
    );
    assert_eq!(served.line, told);
    let page = served.get("/");
    assert_eq!(page.status, 200);
    let order = [
        "<!DOCTYPE html>",
        "<main",
        "<section class=\"live\"",
        "No sweep is running",
        "</section>",
    ];
    let places: Vec<_> = order.iter().map(|what| page.body.find(what).unwrap()).collect();
    assert!(places.is_sorted(), "{places:?}");
    assert!(page.body.rfind("<section").unwrap() > places[4], "the report is missing");
    let live = served.live();
    assert!(page.body.contains(&live));
    assert_eq!(attribute(&page.body, "data-shown"), attribute(&live, "data-results"));
    insta::with_settings!({filters => vec![
        (r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", "TIME"),
        (r"[0-9a-f]{12}", "KEY"),
        (r"after [\d.]+ s", "after SECONDS"),
        (r"worker \d+ MiB", "worker N MiB"),
        (r#"data-key="(\w+) \d+""#, r#"data-key="$1 N""#),
        (r#"data-results="[^"]+""#, r#"data-results="RESULTS""#),
    ]}, { insta::assert_snapshot!(live, @r#"
    <div class="live-now" data-results="RESULTS" data-state="1 finished">
    <h2>No sweep is running</h2>
    <p class="live-bar"><progress aria-label="Stages done" max="6" value="4"></progress> 66 %</p>
    <p>The last one: grid noop-6: finished after SECONDS, 4 of 6 stages done, 1 failed, 1 blocked by them.</p>
    <p class="live-facts">started TIME; ended TIME; largest worker N MiB</p>
    <h3>Last failures</h3>
    <ul class="live-failures">
    <li><strong>failed</strong>: noop KEY <small>index 3</small>
    <pre data-key="error N">failing on request</pre>
    <details data-key="log N"><summary>last lines of its log</summary>
    <pre data-key="tail N">failing on request</pre></details>
    <p>log: <code>.advrec/logs/KEY-1.log</code></p>
    </li>
    </ul>
    </div>
    "#); });
    let status = served.get("/api/status");
    assert_eq!(status.headers["content-type"], "application/json");
    let watched = lab.run(&["watch", "--once", "--output", "json"]);
    let read =
        |text: &[u8]| serde_json::from_slice::<Value>(text).unwrap()["sweep"]["counts"].clone();
    assert_eq!(read(status.body.as_bytes()), read(&watched.stdout));
}

#[test]
fn every_answer_says_how_it_may_be_used() {
    let lab = swept();
    let served = Served::start(&lab, &[]);
    for (target, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/live", "text/html; charset=utf-8"),
        ("/api/status", "application/json"),
        ("/none", "text/plain; charset=utf-8"),
    ] {
        let answer = served.get(target);
        let header = |name: &str| answer.headers[name].as_str();
        assert_eq!(header("content-type"), kind);
        assert_eq!(header("content-length"), answer.body.len().to_string());
        assert_eq!(header("cache-control"), "no-store");
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("referrer-policy"), "no-referrer");
        assert_eq!(header("cross-origin-resource-policy"), "same-origin");
        let policy = header("content-security-policy");
        for rule in
            ["default-src 'none'", "font-src data:", "connect-src 'self'", "frame-ancestors 'none'"]
        {
            assert!(policy.contains(rule), "{policy}");
        }
        let head = served.ask("HEAD", target);
        assert_eq!((head.status, head.body.as_str()), (answer.status, ""));
        assert_eq!(head.headers["content-type"], kind);
    }
    assert_eq!(served.get("/?from=a+link").status, 200);
    assert_eq!(served.get("/favicon.ico").status, 204);
}

#[test]
fn other_requests_are_refused() {
    let lab = swept();
    let served = Served::start(&lab, &[]);
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "get"] {
        let answer = served.ask(method, "/");
        assert_eq!(
            (answer.status, answer.headers["allow"].as_str()),
            (405, "GET, HEAD"),
            "{method}"
        );
    }
    // With a body that nobody reads.
    let body = format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50000\r\n\r\n{}",
        "x".repeat(50_000)
    );
    assert_eq!(served.send(body.as_bytes()).status, 405);
    for target in [
        "/none",
        "//",
        "/../../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/..%2f..%2fadvrec.db",
        "/advrec.db",
        "/live/",
        "*",
    ] {
        assert_eq!(served.get(target).status, 404, "{target}");
    }
    let host = |line: &str| served.send(format!("GET / HTTP/1.1\r\n{line}\r\n").as_bytes()).status;
    assert_eq!(host("Host: 127.0.0.1\r\n"), 200);
    // The port of a tunnel is another one.
    assert_eq!(host("Host: localhost:9\r\n"), 200);
    assert_eq!(host("Host: [::1]:7878\r\n"), 200);
    assert_eq!(host("Host: rebound.example.org\r\n"), 421);
    assert_eq!(host("Host: 127.0.0.1.example.org:7878\r\n"), 421);
    assert_eq!(host("Host: 192.168.0.1\r\n"), 421);
    assert_eq!(host(""), 400);
    assert_eq!(host("Host: localhost\r\nHost: rebound.example.org\r\n"), 400);
    assert_eq!(served.send(b"this is no HTTP\r\n\r\n").status, 400);
    assert_eq!(served.send(&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc]).status, 400, "TLS");
    assert_eq!(host(&format!("Host: localhost\r\nX: {}\r\n", "x".repeat(20_000))), 431);
    assert_eq!(host(&format!("Host: localhost\r\n{}", "X: y\r\n".repeat(200))), 431);
    assert_eq!(served.get("/").status, 200);
}

#[test]
fn clients_that_are_stuck_hold_nobody_up() {
    let lab = swept();
    let served = Served::start(&lab, &[]);
    let mut stuck: Vec<TcpStream> = (0..20).map(|_| served.connect()).collect();
    for (at, stream) in stuck.iter_mut().enumerate() {
        stream.write_all(if at % 2 == 0 { b"GET / HTTP/1.1\r\nHos" } else { b"" }).unwrap();
    }
    // One that asks and takes nothing of the answer.
    let mut deaf = served.connect();
    deaf.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let start = Instant::now();
    assert_eq!(served.get("/live").status, 200);
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    // Who does not ask in time is let go.
    let (mut slow, mut silent) = (served.connect(), served.connect());
    slow.write_all(b"GET / HTTP/1.1\r\nHos").unwrap();
    for stream in [&mut slow, &mut silent] {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(stream.read(&mut [0; 8]).unwrap(), 0);
    }
    // For more than there is room for, others wait until these are let go.
    stuck.extend((0..300).map(|_| served.connect()));
    assert_eq!(served.get("/live").status, 200);
    drop(stuck);
    // Half of a connection is enough to ask.
    let mut half = served.connect();
    half.write_all(b"GET /live HTTP/1.0\r\nHost: localhost\r\n\r\n").unwrap();
    half.shutdown(Shutdown::Write).unwrap();
    assert_eq!(Answer::read(half).status, 200);
}

#[test]
fn an_interrupt_ends_it_at_once() {
    let lab = swept();
    for signal in [libc::SIGINT, libc::SIGTERM] {
        let served = Served::start(&lab, &[]);
        let mut stuck = served.connect();
        stuck.write_all(b"GET /").unwrap();
        assert_eq!(served.get("/live").status, 200);
        assert_eq!(served.end(signal), (0, String::new()));
    }
}

#[test]
fn what_cannot_be_served_is_bad_input() {
    let refused = |lab: &Lab, args: &[&str]| {
        let output = lab.run(&[&["serve"], args].concat());
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
        String::from_utf8(output.stderr).unwrap()
    };
    let empty = Lab::new();
    insta::assert_snapshot!(refused(&empty, &["--port", "0"]), @"error: no database at advrec.db; run `advrec sweep` first, or say where it is with --db");
    assert!(!empty.path("advrec.db").exists());
    let lab = swept();
    insta::assert_snapshot!(refused(&lab, &["--port", "0", "--grid", "noop-7"]), @"error: no grid noop-7 in advrec.db (did you mean `noop-6`?); `advrec status` lists all");
    insta::assert_snapshot!(refused(&lab, &["--port", "0", "--address", "192.0.2.1"]), @"error: could not listen at 192.0.2.1:0: this machine has no such address; --address 0.0.0.0 stands for all that it has");
    let served = Served::start(&lab, &[]);
    let port = served.port.to_string();
    let message = refused(&lab, &["--port", &port]).replace(&port, "PORT");
    insta::assert_snapshot!(message, @"error: could not listen at 127.0.0.1:PORT: it is in use; choose another --port, or 0 for any that is free");
}

#[test]
fn another_address_is_warned_of_and_answers_to_any_name() {
    let lab = swept();
    let served = Served::start(&lab, &["--address", "0.0.0.0", "--output", "json"]);
    let about: Value = serde_json::from_str(&served.line).unwrap();
    assert_eq!(about["port"], served.port);
    assert_eq!(about["url"], format!("http://0.0.0.0:{}/", served.port));
    assert_eq!((&about["address"], &about["database"]), (&"0.0.0.0".into(), &"advrec.db".into()));
    let answer = served.send(b"GET /live HTTP/1.1\r\nHost: lab.example.org\r\n\r\n");
    assert_eq!(answer.status, 200);
    let port = served.port.to_string();
    let (code, stderr) = served.end(libc::SIGINT);
    assert_eq!(code, 0);
    insta::assert_snapshot!(stderr.replace(&port, "PORT"), @"warning: everyone who reaches 0.0.0.0:PORT can read the results; nothing asks for a password");
}

/// Names, lengths, times and digests of all in a folder, and the time of the folder itself.
fn fingerprint(folder: &Path) -> Vec<String> {
    let mut found = vec![format!("{:?}", folder.metadata().unwrap().modified().unwrap())];
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let data = path.metadata().unwrap();
        found.push(format!("{path:?} {} {:?}", data.len(), data.modified().unwrap()));
        if data.is_file() {
            found.push(blake3::hash(&std::fs::read(&path).unwrap()).to_string());
        }
    }
    found[1..].sort();
    found
}

#[test]
fn a_database_at_rest_is_left_as_it_is() {
    let lab = swept();
    // What has been written a moment ago might be written still.
    std::thread::sleep(Duration::from_millis(100));
    let folder = lab.path("");
    let before = fingerprint(&folder);
    let served = Served::start(&lab, &[]);
    for target in ["/", "/live", "/api/status", "/none"] {
        served.get(target);
    }
    assert_eq!(served.end(libc::SIGINT).0, 0);
    assert_eq!(fingerprint(&folder), before);
}

#[test]
fn a_running_sweep_is_shown_and_not_held_up() {
    let lab = unswept();
    let served = Served::start(&lab, &[]);
    insta::assert_snapshot!(served.live().lines().skip(1).collect::<Vec<_>>().join("\n"), @r"
    <h2>No sweep is running, and none has ever run</h2>
    <p>Start one with <code>advrec sweep GRID.yaml --db advrec.db</code>; this page shows it.</p>
    </div>
    ");
    let before = attribute(&served.get("/").body, "data-shown").to_owned();
    let params = r#"{"3": {"fail": true}, "8": {"sleep_ms": 60000}}"#;
    let sweep = lab.start(&["--noop", "10", "--jobs", "2", "--noop-params", params]);
    let live = served.live_when(|live| live.contains("1 failed") && live.contains("asleep"));
    for part in [
        "<h2>Grid noop-10 is being swept</h2>",
        "<progress aria-label=\"Stages done\" max=\"10\" value=\"5\"></progress> 50 %",
        "5 of 10 stages done, 1 running, 1 failed, 3 blocked by them",
        "<caption>1 of 2 slots busy</caption>",
        "<small>index 8</small>",
        "<progress aria-hidden=\"true\" max=\"60000\"",
        "<h3>Last failures</h3>",
        ">failing on request</pre>",
        "<summary>last lines of its log</summary>",
        ".advrec/logs/",
    ] {
        assert!(live.contains(part), "no {part} in\n{live}");
    }
    assert!(attribute(&live, "data-state").ends_with("running"));
    let during = attribute(&live, "data-results").to_owned();
    assert_ne!(during, before);
    // The page follows its results.
    assert_eq!(attribute(&served.get("/").body, "data-shown"), during);
    // Between its answers nothing is held open: another process can write, and empty the log.
    let other = rusqlite::Connection::open(lab.path("advrec.db")).unwrap();
    other.busy_timeout(Duration::from_secs(5)).unwrap();
    other.execute("UPDATE sweeps SET heard = heard", []).unwrap();
    let busy = other.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
    assert_eq!(busy, Ok(0));
    drop(other);
    stop(&sweep, libc::SIGINT);
    assert_eq!(sweep.wait_with_output().unwrap().status.code(), Some(3));
    let live = served.live_when(|live| live.contains("No sweep is running"));
    assert!(attribute(&live, "data-state").ends_with("interrupted"));
    assert!(live.contains("the same command goes on"), "{live}");
}

#[test]
fn a_database_that_goes_away_is_said_and_may_come_back() {
    let lab = swept();
    let served = Served::start(&lab, &[]);
    assert_eq!(served.get("/").status, 200);
    std::fs::rename(lab.path("advrec.db"), lab.path("away")).unwrap();
    let answer = served.get("/");
    assert_eq!(answer.status, 500);
    insta::assert_snapshot!(answer.body, @"no database at advrec.db; run `advrec sweep` first, or say where it is with --db");
    std::fs::rename(lab.path("away"), lab.path("advrec.db")).unwrap();
    assert_eq!(served.get("/").status, 200);
}
