//! The query of a request. Malformed and repeated parameters are refused, and unknown ones where something is to be changed;
//! whoever only reads may add what it likes.

use super::respond::{Refusal, shortened};
use crate::config::parse_duration;
use crate::election::Token;
use crate::status::ElectionHandle;
use hyper::StatusCode;
use std::borrow::Cow;
use std::time::Duration;

/// What can be asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Query<'a> {
    election: Option<Cow<'a, str>>,
    cooldown: Option<Cow<'a, str>>,
    stopped: Option<Cow<'a, str>>,
    promise: Option<Cow<'a, str>>,
    token: Option<Cow<'a, str>>,
    /// The first of those that mean nothing here.
    unknown: Option<Cow<'a, str>>,
}

/// How long a candidate that resigned stays out, where nothing else is asked for.
const DEFAULT_COOLDOWN: Duration = Duration::from_secs(10);
const LONGEST_COOLDOWN: Duration = Duration::from_secs(24 * 60 * 60);

impl<'a> Query<'a> {
    /// The part of a URL after the question mark, if there is one.
    pub(super) fn parse(text: Option<&'a str>) -> Result<Self, Refusal> {
        let mut query = Query::default();
        for pair in text.unwrap_or_default().split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decode(name)?, decode(value)?);
            let parameter = match &*name {
                "election" => &mut query.election,
                "cooldown" => &mut query.cooldown,
                "stopped" => &mut query.stopped,
                "promise" => &mut query.promise,
                "token" => &mut query.token,
                "" => continue,
                _ => {
                    query.unknown.get_or_insert(name);
                    continue;
                }
            };
            if parameter.replace(value).is_some() {
                return Err(Refusal::bad_request(format!("{name} is given twice")));
            }
        }
        Ok(query)
    }

    /// For calls that change something: a parameter that is misspelt would be left out otherwise.
    pub(super) fn refuse_unknown(&self) -> Result<(), Refusal> {
        self.unknown.as_ref().map_or(Ok(()), |name| {
            let error = format!("there is no parameter {:?} here", shortened(name));
            let known = "use election, and for /resign cooldown and stopped";
            Err(Refusal::bad_request(format!("{error}; {known}")))
        })
    }

    /// The election that is named, or the only one.
    pub(super) fn pick<'b>(
        &self,
        elections: &'b [ElectionHandle],
    ) -> Result<&'b ElectionHandle, Refusal> {
        match (&self.election, elections) {
            (None, [only]) => Ok(only),
            (None, _) => Err(Refusal::bad_request(
                "there are several elections; name one with ?election=",
            )),
            (Some(name), _) => elections
                .iter()
                .find(|handle| handle.status.name() == name)
                .ok_or_else(|| {
                    let error =
                        format!("no election {:?} here; /status lists them", shortened(name));
                    Refusal::new(StatusCode::NOT_FOUND, error)
                }),
        }
    }

    /// The election that is named, or all of them.
    pub(super) fn pick_or_all<'b>(
        &self,
        elections: &'b [ElectionHandle],
    ) -> Result<&'b [ElectionHandle], Refusal> {
        match &self.election {
            None => Ok(elections),
            Some(_) => self.pick(elections).map(std::slice::from_ref),
        }
    }

    /// How long to stay out.
    pub(super) fn cooldown(&self) -> Result<Duration, Refusal> {
        let Some(text) = &self.cooldown else {
            return Ok(DEFAULT_COOLDOWN);
        };
        let refusal = |why| {
            let error = format!("cooldown {:?} {why}", shortened(text));
            Err(Refusal::bad_request(error))
        };
        match parse_duration(text) {
            Ok(cooldown) if cooldown <= LONGEST_COOLDOWN => Ok(cooldown),
            Ok(_) => refusal("is longer than 24h"),
            Err(_) => refusal("is no duration; write 500ms, 10s or 2m"),
        }
    }

    /// Whether the application has stopped.
    pub(super) fn stopped(&self) -> Result<bool, Refusal> {
        flag("stopped", self.stopped.as_deref().unwrap_or("false"))
    }

    /// Whether the answer may be a promise.
    pub(super) fn promise(&self) -> Result<bool, Refusal> {
        flag("promise", self.promise.as_deref().unwrap_or("true"))
    }

    /// The fencing token that is asked about.
    pub(super) fn token(&self) -> Result<Token, Refusal> {
        let Some(text) = self.token.as_deref() else {
            return Err(Refusal::bad_request(
                "no token is given; add ?token= and the fencing token",
            ));
        };
        // `parse` takes a plus sign as well.
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| digits).ok_or_else(|| {
            let error = format!("token {:?} is no fencing token", shortened(text));
            Refusal::bad_request(format!("{error}; write a whole number"))
        })
    }
}

fn flag(name: &str, value: &str) -> Result<bool, Refusal> {
    value.parse().map_err(|_| {
        let value = shortened(value);
        Refusal::bad_request(format!("{name} {value:?} is neither true nor false"))
    })
}

/// Undoes what browsers and `curl --data-urlencode` do to a value.
fn decode(text: &str) -> Result<Cow<'_, str>, Refusal> {
    if !text.contains(['%', '+']) {
        return Ok(Cow::Borrowed(text));
    }
    let malformed = || {
        let error = format!("{:?} is not percent-encoded UTF-8", shortened(text));
        Refusal::bad_request(error)
    };
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                let (Some(high), Some(low)) = (digit(), digit()) else {
                    return Err(malformed());
                };
                (high * 16 + low) as u8
            }
            byte => byte,
        });
    }
    String::from_utf8(decoded)
        .map(Cow::Owned)
        .map_err(|_| malformed())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn election(text: &str) -> Result<Option<String>, StatusCode> {
        Query::parse(Some(text))
            .map(|query| query.election.map(Cow::into_owned))
            .map_err(|refusal| refusal.status)
    }

    #[test]
    fn values_are_percent_decoded_and_unknown_parameters_ignored() {
        for (text, expected) in [
            ("", None),
            ("election=payments", Some("payments")),
            ("x=1&election=pay%6dents&&y", Some("payments")),
            ("el%65ction=a%2Fb+c", Some("a/b c")),
            ("election=%C3%A4", Some("ä")),
            ("election", Some("")),
        ] {
            assert_eq!(election(text), Ok(expected.map(str::to_owned)), "{text}");
        }
    }

    #[test]
    fn malformed_and_repeated_parameters_are_refused() {
        for text in [
            "election=%",
            "election=%4",
            "election=%zz",
            "election=%+1",
            "election=%ff",
            "election=a&election=a",
        ] {
            assert_eq!(election(text), Err(StatusCode::BAD_REQUEST), "{text}");
        }
    }

    #[test]
    fn a_cooldown_is_a_duration_of_at_most_a_day() {
        let cooldown = |text: &str| Query::parse(Some(text)).unwrap().cooldown().ok();
        assert_eq!(cooldown(""), Some(Duration::from_secs(10)));
        assert_eq!(cooldown("cooldown=0s"), Some(Duration::ZERO));
        assert_eq!(cooldown("cooldown=24h"), Some(Duration::from_secs(86_400)));
        for refused in ["24h1ms", "10", "-1s", "", "9999999999999999999999h"] {
            assert_eq!(cooldown(&format!("cooldown={refused}")), None, "{refused}");
        }
    }

    #[test]
    fn stopped_and_promise_are_true_or_false_and_nothing_else() {
        let promise = |text: &str| Query::parse(Some(text)).unwrap().promise().ok();
        assert_eq!(promise(""), Some(true));
        assert_eq!(promise("promise=true"), Some(true));
        assert_eq!(promise("promise=false"), Some(false));
        assert_eq!(promise("promise=no"), None);
        assert_eq!(promise("promise"), None);
        let stopped = |text: &str| Query::parse(Some(text)).unwrap().stopped().ok();
        assert_eq!(stopped(""), Some(false));
        assert_eq!(stopped("stopped=false"), Some(false));
        assert_eq!(stopped("stopped=true"), Some(true));
        assert_eq!(stopped("stopped=1"), None);
        assert_eq!(stopped("stopped"), None);
    }

    #[test]
    fn a_parameter_that_means_nothing_is_refused_where_something_is_to_be_changed() {
        let misspelt = Query::parse(Some("election=a&stoped=true")).unwrap();
        let refusal = misspelt.refuse_unknown().unwrap_err();
        assert!(format!("{refusal:?}").contains("stoped"), "{refusal:?}");
        let right = Query::parse(Some("election=a&stopped=true&cooldown=1s&")).unwrap();
        assert!(right.refuse_unknown().is_ok());
    }

    #[test]
    fn a_token_is_a_whole_number_and_has_to_be_given() {
        let token = |text: &str| Query::parse(Some(text)).unwrap().token().ok();
        assert_eq!(token("token=0"), Some(0));
        assert_eq!(token("token=18446744073709551615"), Some(u64::MAX));
        for refused in [
            "",
            "token",
            "token=",
            "token=-1",
            "token=%2B1",
            "token=+1",
            "token=1.0",
            "token=0x1",
            "token=18446744073709551616",
            "token=%D9%A1",
        ] {
            assert_eq!(token(refused), None, "{refused}");
        }
    }
}
