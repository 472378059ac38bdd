//! Rebuilds the room when a migration is added or changed; the texts themselves are embedded by `sqlx::migrate!`.

fn main() {
    let mut out = std::io::stdout();
    drop(std::io::Write::write_all(&mut out, b"cargo::rerun-if-changed=migrations\n"));
}
