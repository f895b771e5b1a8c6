//! The application of `tenure exec`: real processes, real signals, and a sidecar that is nothing but
//! its part that runs the application. Every time is compared with the clock that the deadlines are of.

mod support;

#[path = "application/stage.rs"]
mod stage;

#[path = "application/children.rs"]
mod children;
#[path = "application/ends.rs"]
mod ends;
#[path = "application/faults.rs"]
mod faults;
#[path = "application/surroundings.rs"]
mod surroundings;

/// Not a test: the sidecar of the tests, in a process of its own. It runs until its orders end.
#[test]
#[ignore = "the tests start it"]
fn sidecar() {
    stage::sidecar();
}

/// Not a test either: a process of which all children are its own.
#[test]
#[ignore = "the tests start it"]
fn parent() {
    children::parent();
}
