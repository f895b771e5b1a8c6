//! What must never be, and the one thing that nobody can help.
//!
//! Never do two candidates lead at once, nor was one promised what another has; and each leadership has a greater token than all
//! before it. That holds whatever people do to the Lease, but for what they take from those who begin to look too late:
//!
//! - Where somebody deletes the Lease, restores an old one, or misleads a client-go candidate into taking it, a leader that
//!   is cut off doesn't hear of it before its lease is over. Whoever never saw it in the Lease can't know that there is
//!   anybody to wait for; nor, after a restore, whoever saw nothing of it that was later than what was restored. (Where
//!   somebody only takes the holder out, the Lease itself tells, unless it is edited to look given up.)
//! - Where the whole cluster is restored from a backup, versions go back. Whoever never saw the former tokens can't know what to
//!   outdo.

use crate::session::Knowledge;
use std::collections::{BTreeMap, BTreeSet};
use tenure::election::Token;

#[derive(Debug, Default)]
pub(crate) struct Judge {
    /// Somebody took them out of the Lease, and it tells that.
    taken_out: BTreeSet<String>,
    /// Of them it tells no more; nor can anybody know of them who has seen them in no write after this one.
    dispossessed: BTreeMap<String, u64>,
    /// By which write a restore made them the holder again.
    put_back: BTreeMap<String, u64>,
    /// What each knew when it began to lead.
    knew: BTreeMap<String, Knowledge>,
    highest_token: Token,
    were_versions_set_back: bool,
    /// Who was let pass beside whom.
    pub(crate) excused: BTreeSet<[String; 2]>,
}

impl Judge {
    pub(crate) fn taken_out(&mut self, holder: Option<String>) {
        self.taken_out.extend(holder);
    }

    /// The Lease was deleted, taken by client-go, or edited to look given up, while it had this holder.
    pub(crate) fn dispossessed(&mut self, holder: Option<String>) {
        self.taken_out(holder);
        for holder in std::mem::take(&mut self.taken_out) {
            let since = self.put_back.get(&holder).copied().unwrap_or(0);
            self.dispossessed.insert(holder, since);
        }
    }

    /// A write, the last, has restored what an earlier one made, and has put a holder in another's place.
    pub(crate) fn restored(
        &mut self,
        [earlier, last]: [u64; 2],
        lost: Option<String>,
        put_back: Option<String>,
    ) {
        self.dispossessed(None);
        for holder in [lost, put_back.clone()].into_iter().flatten() {
            self.dispossessed.insert(holder, earlier);
        }
        if let Some(holder) = put_back {
            self.put_back.insert(holder, last);
        }
    }

    pub(crate) fn versions_were_set_back(&mut self) {
        self.were_versions_set_back = true;
    }

    pub(crate) fn is_known(&self, leader: &str) -> bool {
        self.knew.contains_key(leader)
    }

    /// A leadership begins. Says what is wrong with it, if anything is.
    pub(crate) fn begins(
        &mut self,
        leader: &str,
        token: Token,
        knowledge: Knowledge,
    ) -> Option<String> {
        let former = self.highest_token;
        let could_not_know = self.were_versions_set_back && knowledge.token < former;
        self.highest_token = former.max(token);
        self.knew.insert(leader.to_owned(), knowledge);
        let is_wrong = token <= former && !could_not_know;
        is_wrong.then(|| format!("{leader} leads with {token} after {former}"))
    }

    /// Both lead, or were promised to.
    pub(crate) fn are_two(&mut self, a: &str, b: &str) -> Option<String> {
        if self.could_not_know(a, b) || self.could_not_know(b, a) {
            self.excused.insert([a, b].map(str::to_owned));
            return None;
        }
        Some(format!("{a} and {b} lead, or were promised to"))
    }

    fn could_not_know(&self, leader: &str, former: &str) -> bool {
        let Some(since) = self.dispossessed.get(former) else {
            return false;
        };
        let knew = self.knew.get(leader);
        knew.is_some_and(|knew| knew.holders.get(former).is_none_or(|seen| seen <= since))
    }
}
