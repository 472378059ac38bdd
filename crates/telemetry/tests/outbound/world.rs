//! A network namespace in which every address of IPv4 and IPv6 is this machine: whatever a client connects to, somebody answers, and the kernel counts it.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;

/// Says that the process is in there.
const INSIDE: &str = "MAINSTAY_TEST_WORLD";
/// Every address is local, and a system's own limits do not come between.
const SET_UP: &str = "ip link set lo up && ip route add local 0.0.0.0/0 dev lo && \
    ip -6 route add local ::/0 dev lo && exec \"$0\" \"$@\"";
/// What to do where people may have no namespaces of their own.
const UNSHARE_HINT: &str = "unprivileged user namespaces are switched off: sysctl kernel.unprivileged_userns_clone=1, \
    on Ubuntu kernel.apparmor_restrict_unprivileged_userns=0, in a container seccomp=unconfined";
/// Where somebody listens: ports of the web, and a few that are asked for in vain.
const PORTS: [u16; 6] = [80, 443, 22, 6379, 8080, 9200];

/// Runs a test of this binary within such a namespace, unless it is there already: then `test` is run.
///
/// # Panics
/// When the test fails in there, or there is no way in: it takes `unshare` and `ip`, and a system that lets people use them.
pub(crate) fn inside(name: &str, test: impl FnOnce()) {
    #[expect(clippy::disallowed_methods, reason = "how a test finds itself again")]
    if std::env::var_os(INSIDE).is_some() {
        return test();
    }
    let binary = std::env::current_exe().expect("this binary");
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--net", "sh", "-c", SET_UP])
        .arg(binary)
        .args(["--exact", name, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .expect("unshare");
    let told = String::from_utf8_lossy(&output.stdout);
    let wrong = String::from_utf8_lossy(&output.stderr);
    let hint = if wrong.contains("unshare:") { UNSHARE_HINT } else { "" };
    assert!(output.status.success(), "{told}\n{wrong}{hint}");
    assert!(told.contains("1 passed"), "it did not run in there: {told}");
}

/// What the kernel counted since the namespace was made: connections begun, by whomever, and datagrams sent.
pub(crate) fn sent() -> (u64, u64) {
    let table = std::fs::read_to_string("/proc/net/snmp").expect("counters");
    let six = std::fs::read_to_string("/proc/net/snmp6").expect("counters");
    let six = six.lines().find_map(|line| line.strip_prefix("Udp6OutDatagrams"));
    let six: u64 = six.expect("a counter").trim().parse().expect("a number");
    (counter(&table, "Tcp:", "ActiveOpens"), counter(&table, "Udp:", "OutDatagrams") + six)
}

fn counter(table: &str, row: &str, column: &str) -> u64 {
    let mut rows = table.lines().filter(|line| line.starts_with(row));
    let names = rows.next().expect("names").split(' ');
    let values = rows.next().expect("values").split(' ');
    let found = names.zip(values).find(|(name, _)| *name == column);
    found.expect("a counter").1.parse().expect("a number")
}

/// Answers at every address: at `/to/URL` with a redirect there, anywhere else with the address that was asked.
pub(crate) fn populate() {
    for port in PORTS {
        let listener = TcpListener::bind(("::", port)).expect("a port");
        spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                // A client that left is none of its business.
                drop(answer(stream));
            }
        });
    }
}

fn answer(stream: TcpStream) -> std::io::Result<()> {
    let address = stream.local_addr()?.ip().to_canonical();
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let path = first.split(' ').nth(1).unwrap_or_default();
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    let (status, extra) = match path.strip_prefix("/to/") {
        Some(url) => ("302 Found", format!("Location: {url}\r\n")),
        None => ("200 OK", String::new()),
    };
    let body = address.to_string();
    let length = body.len();
    let mut stream = reader.into_inner();
    write!(
        stream,
        "HTTP/1.1 {status}\r\n{extra}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

#[expect(clippy::disallowed_methods, reason = "threads of a process that ends with its test")]
fn spawn(work: impl FnOnce() + Send + 'static) {
    std::thread::spawn(work);
}
