//! Stopping: what is in hand is finished, a second signal does not wait, nothing is left behind.

use crate::serve;

#[test]
fn sigterm_ends_it_with_zero_and_leaves_no_socket() {
    let mut server = serve(&[("index.html", "<p>hello</p>")]);
    assert_eq!(server.get("/").status, 200);
    let ended = server.stop();
    assert_eq!((ended.code, ended.signal), (Some(0), None), "{}", ended.stderr);
    assert!(!server.data_dir().join("control.sock").exists());
}
