//! What it takes to be let in, as fresh as the files that hold it.

use super::access::{Source, Trust};
use super::bearer;
use super::kept::{Keeper, Kept, Needed};
use super::tls::Tls;
use hyper::header::HeaderValue;
use std::sync::Arc;

pub(super) struct Credentials {
    bearer: Option<Kept<HeaderValue>>,
    tls: Option<Kept<Tls>>,
    _needed: Needed,
}

impl Credentials {
    /// Reads everything for the first time, and goes on to look for changes. It blocks. A connection that isn't encrypted needs no `trust`.
    ///
    /// # Errors
    /// A sentence that says where something stands that can't be used.
    pub(super) fn keep(token: Option<Source>, trust: Option<Trust>) -> Result<Self, String> {
        let mut keeper = Keeper::default();
        let bearer = token.map(|token| {
            let file = token.file();
            keeper.keep("token", file.into_iter().collect(), move || {
                bearer::read(&token)
            })
        });
        let tls = trust
            .map(|trust| keeper.keep("certificates", trust.files(), move || Tls::read(&trust)));
        Ok(Credentials {
            bearer: bearer.transpose()?,
            tls: tls.transpose()?,
            _needed: keeper.start()?,
        })
    }

    /// The header that shows the token.
    pub(super) fn bearer(&self) -> Option<HeaderValue> {
        let bearer = self.bearer.as_ref()?.load();
        Some(HeaderValue::clone(&bearer))
    }

    pub(super) fn tls(&self) -> Option<Arc<Tls>> {
        Some(self.tls.as_ref()?.load_full())
    }
}
