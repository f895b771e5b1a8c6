//! The page for people, in a real browser, told by real sidecars. Pictures of it are left in `target/page/`.

#![allow(clippy::unwrap_used, reason = "a test is to fail by it")]

mod support;

use serde_json::Value;
use support::browser::Browser;
use support::ms;
use support::sidecar::{ROLE_BOUND, Sidecar, Spec};
use tempfile::TempDir;

/// The seconds that are shown; NaN where none are.
const LEFT: &str = "parseFloat(document.querySelector('#left:not([hidden])')?.innerText)";

/// Long enough for a picture of the countdown.
fn candidate(id: &str, directory: &TempDir) -> Spec {
    Spec::on_files(id, directory.path()).lease(ms(5_000), ms(3_000), ms(1_000))
}

fn on_probes(sidecar: &Sidecar) -> String {
    format!("http://127.0.0.1:{}/", sidecar.probes)
}

/// Nothing was asked for elsewhere, and nothing forbidden tried.
#[track_caller]
fn assert_content(browser: &mut Browser, sidecar: &Sidecar) {
    let own = [sidecar.url(), on_probes(sidecar), "data:".to_owned()];
    for url in browser.requested() {
        assert!(own.iter().any(|own| url.starts_with(own)), "{url}");
    }
    assert_eq!(browser.complaints(), Vec::<Value>::new());
}

#[test]
fn an_open_page_counts_down_shows_a_hand_over_as_it_happens_and_keeps_none_waiting() {
    let directory = TempDir::new().unwrap();
    let a = candidate("a", &directory).start_leading();
    let b = candidate("b", &directory).start_following();
    let mut browser = Browser::start();
    browser.look(1000, "light");
    browser.open(&a.url());
    browser.wait_for_text("who", "a leads");
    browser.wait_for_text("left", "2.");
    browser.photograph("leader");
    let read = browser.evaluate(LEFT).as_f64().unwrap();
    browser.wait_for(&format!("{LEFT} < {read}"));
    browser.wait_for(&format!("{LEFT} > 2.7"));
    browser.wait_for_text("past", "first in the queue");
    browser.wait_for_text("facts", "http://a.test:8080");

    let resigned = a.post("/resign?cooldown=1h").json();
    assert_eq!(resigned["released_in_ms"], 0, "{resigned}");
    browser.wait_for_text("who", "b leads");
    browser.wait_for_text("part", "a, follows");
    browser.wait_for_text("past", "asked to resign");
    browser.wait_for(&format!("isNaN({LEFT})"));
    b.wait_leading(ROLE_BOUND);
    browser.photograph("follower");

    let look = |hidden: bool| {
        format!(
            "Object.defineProperty(document, 'hidden', {{ value: {hidden}, configurable: true }});
             document.dispatchEvent(new Event('visibilitychange'))"
        )
    };
    browser.wait_for("source.readyState === EventSource.OPEN");
    browser.evaluate(&look(true));
    browser.wait_for("source.readyState === EventSource.CLOSED");
    browser.evaluate(&look(false));
    browser.wait_for("source.readyState === EventSource.OPEN");
    assert_content(&mut browser, &a);
}

#[test]
fn a_page_on_probes_shows_the_same_and_a_sidecar_that_is_silent_is_said_to_be() {
    let directory = TempDir::new().unwrap();
    let mut a = candidate("a", &directory).start_leading();
    let mut browser = Browser::start();
    browser.look(1000, "dark");
    browser.open(&on_probes(&a));
    browser.wait_for_text("who", "a leads");
    browser.wait_for(&format!("{LEFT} > 0"));
    browser.photograph("leader-dark");
    assert_content(&mut browser, &a);
    a.freeze();
    browser.wait_for(&format!("isNaN({LEFT})"));
    browser.wait_for_text("alert", "No contact");
    assert_eq!(browser.text("who"), "a led");
    browser.photograph("no-contact");
    a.thaw();
    browser.wait_for(&format!("{LEFT} > 0"));
    assert_eq!(browser.text("who"), "a leads");
}

#[test]
fn nothing_that_a_candidate_says_of_itself_becomes_markup() {
    let hostile = "<img src=x onerror=alert(1)>&amp;<script>alert('2')</script>";
    let directory = TempDir::new().unwrap();
    let a = candidate(hostile, &directory).start_leading();
    let mut browser = Browser::start();
    browser.look(360, "light");
    browser.open(&a.url());
    browser.wait_for_text("who", "leads");
    assert_eq!(browser.text("who"), format!("{hostile} leads"));
    // What turns words round stands for itself.
    assert_eq!(browser.evaluate("plain('a\\u202eb')"), "a\u{fffd}b");
    let foreign = "document.querySelectorAll('img, main script').length";
    assert_eq!(browser.evaluate(foreign), 0);
    browser.photograph("hostile-phone");
    assert_content(&mut browser, &a);
}

#[test]
fn on_a_phone_nothing_is_cut_off_by_day_and_by_night() {
    let directory = TempDir::new().unwrap();
    let a = candidate("payments-7c9f6d5b8-x2v4q", &directory).start_leading();
    let mut browser = Browser::start();
    let mut papers = Vec::new();
    for scheme in ["light", "dark"] {
        browser.look(360, scheme);
        browser.open(&a.url());
        browser.wait_for_text("past", "first in the queue");
        browser.wait_for(&format!("{LEFT} > 0"));
        assert_eq!(
            browser.evaluate("document.documentElement.scrollWidth"),
            360
        );
        papers.push(browser.evaluate("getComputedStyle(document.body).backgroundColor"));
        browser.photograph(&format!("phone-{scheme}"));
    }
    assert_ne!(papers[0], papers[1]);
    assert_content(&mut browser, &a);
}

#[test]
fn of_hundreds_of_elections_some_are_shown_and_any_is_found() {
    let names: Vec<String> = (0..250).map(|number| format!("shard-{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let directory = TempDir::new().unwrap();
    let a = candidate("a", &directory).elections(&names).start();
    let mut browser = Browser::start();
    browser.look(1000, "light");
    browser.open(&a.url());
    browser.wait_for_text("count", "a leads 250 of 250 elections");
    assert_eq!(
        browser.evaluate("document.querySelectorAll('#list tbody tr').length"),
        100
    );
    browser.wait_for_text("more", "150 more");
    browser.photograph("many");
    browser.evaluate("document.querySelector('#filter').focus(); document.execCommand('insertText', false, 'shard-24')");
    browser.wait_for("document.querySelectorAll('#list tbody tr').length === 11");
    browser.evaluate("document.querySelector('#list a[href$=\"shard-249\"]').click()");
    browser.wait_for("location.search === '?election=shard-249'");
    browser.wait_for_text("election", "shard-249");
    browser.wait_for(&format!("{LEFT} > 0"));
    assert_content(&mut browser, &a);
}
