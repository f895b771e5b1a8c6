//! What happens to candidates and their Lease, to be counted.

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    // A candidate, its host, and its way to the API.
    Freeze,
    Crash,
    Shutdown,
    Resign,
    Pause,
    RequestsCut,
    AnswersCut,
    BothCut,
    DateSet,
    WatchEnds,
    WatchSilent,
    WatchLags,
    // Everybody.
    ServerAway,
    ServerBusy,
    ForeignFreeze,
    // People and the Lease.
    Deleted,
    HolderEmptied,
    RenewTimeEdited,
    DurationEdited,
    Labelled,
    Assigned,
    LeaseRestored,
    ClusterRestored,
    // What comes of it all.
    Conflict,
    Missing,
    WrittenUnanswered,
    WrittenLate,
    ForeignAcquired,
    ForeignReleased,
    HandedOver,
    /// Two led at once, and nobody could help it.
    Excused,
}

/// Those that are brought about.
pub(crate) const FAULTS: [Kind; 23] = [
    Kind::Freeze,
    Kind::Crash,
    Kind::Shutdown,
    Kind::Resign,
    Kind::Pause,
    Kind::RequestsCut,
    Kind::AnswersCut,
    Kind::BothCut,
    Kind::DateSet,
    Kind::WatchEnds,
    Kind::WatchSilent,
    Kind::WatchLags,
    Kind::ServerAway,
    Kind::ServerBusy,
    Kind::ForeignFreeze,
    Kind::Deleted,
    Kind::HolderEmptied,
    Kind::RenewTimeEdited,
    Kind::DurationEdited,
    Kind::Labelled,
    Kind::Assigned,
    Kind::LeaseRestored,
    Kind::ClusterRestored,
];

/// Those that come of them.
pub(crate) const CONSEQUENCES: [Kind; 7] = [
    Kind::Conflict,
    Kind::Missing,
    Kind::WrittenUnanswered,
    Kind::WrittenLate,
    Kind::ForeignAcquired,
    Kind::ForeignReleased,
    Kind::HandedOver,
];
