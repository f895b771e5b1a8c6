//! This process's children, as the kernel lists them.

use rustix::process::{Pid, Signal, getpgid, kill_process, kill_process_group};
use std::fs;
use std::io;

/// The children of all threads, those that nobody has waited for among them.
///
/// The list is exact where no child is waited for meanwhile: then none can vanish from it.
pub(super) fn children() -> io::Result<Vec<Pid>> {
    let mut children = Vec::new();
    for thread in fs::read_dir("/proc/self/task")? {
        let thread = thread?.path();
        match fs::read_to_string(thread.join("children")) {
            Ok(list) => children.extend(
                list.split_ascii_whitespace()
                    .filter_map(|id| Pid::from_raw(id.parse().ok()?)),
            ),
            // A thread that has ended has left its children to another.
            Err(_) if !thread.exists() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(children)
}

/// Kills a child, and its process group where it leads one. Nobody must have waited for it: else its
/// id may be another's.
pub(super) fn kill(child: Pid) {
    if getpgid(Some(child)) == Ok(child) {
        let _ = kill_process_group(child, Signal::KILL);
    }
    // What has ended needs no killing; what may not be killed stays, and is seen to stay.
    let _ = kill_process(child, Signal::KILL);
}
