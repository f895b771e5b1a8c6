//! The application: a command that runs only while this candidate leads.
//!
//! Three processes see to it, for any of them may be killed or frozen. The *sidecar* ([`Exec`]) says until when
//! the application may run, and says so anew with every answered keepalive. The *guardian* ([`guard()`]) is the
//! application's parent: it holds that deadline by its own clock, and stops the application when it has
//! come, whatever ails the sidecar. The *shim* ([`guarded()`]) becomes the application; before, it has the kernel
//! kill it with the guardian. Where the guardian is lost, the sidecar inherits what is left, and ends it.
//!
//! What is known to have ended is known from the kernel: whoever has no child left, and inherits every
//! orphan below, has no descendant left. No process id is signalled but of a child that nobody has
//! waited for, so that it can't be another's.
//!
//! What this can't do: an application that runs as another user than the sidecar may be out of its reach, and is
//! then never said to have stopped. Where sidecar and guardian are killed at the same instant, the
//! application's first process dies with them, but not what that has started.

mod children;
mod deadline;
mod exec;
mod find;
mod guardian;
mod offspring;
mod shim;
mod terminal;
mod wire;

pub use children::{Children, Spawned};

pub use exec::{Application, End, Exec, Report, THIS_PROGRAM};
pub use find::{FindError, find};
pub use guardian::{Guard, guard};
pub use shim::{Guarded, guarded};
pub use terminal::from_background;
