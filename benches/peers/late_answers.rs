//! late_answers: what etcd says to the leader comes 2 s late for a while, then nothing comes; for how long do the
//! old leader and the new one both say that they lead?

use crate::Effort;
use crate::partition;
use crate::report::Section;
use crate::support::relay::Mode;
use crate::support::{let_pass, ms};

pub(crate) fn run(effort: Effort) -> Section {
    let mut section = Section::titled(
        "Late answers",
        "As before, but first etcd's answers to the leader come 2 s late, for 5 to 9 s; then nothing passes. Who counts \
         its lease from when the answer came may believe in it for 2 s too long.",
    );
    partition::measure(&mut section, effort, |relay| {
        relay.set(Mode::Delay(ms(2_000)));
        let_pass(ms(fastrand::u64(5_000..9_000)));
        relay.set(Mode::Silent);
    });
    section
}
