//! silence: nothing passes between the leader and etcd, either way, and no connection is closed; for how long do
//! the old leader and the new one both say that they lead?

use crate::Effort;
use crate::partition;
use crate::report::Section;
use crate::support::relay::Mode;

pub(crate) fn run(effort: Effort) -> Section {
    let mut section = Section::titled(
        "Silent partition",
        "A relay swallows everything between the leader and etcd, both ways, and closes nothing; ttl 5 s, at any moment \
         between two keepalives. Both candidates are asked all the time (every 2 ms): from the new one's first answer \
         \"leader\" to the last question that the old one answered so. Above zero, both led at once. etcdctl can't be \
         asked: it counts as holding on until its process ends.",
    );
    partition::measure(&mut section, effort, |relay| relay.set(Mode::Silent));
    section
}
