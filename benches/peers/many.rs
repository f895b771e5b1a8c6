//! many: 1, 200 and 2,000 elections in one sidecar: what each costs, and how long it takes until another sidecar
//! leads all of them when the first one ends, or is killed.

use crate::Effort;
use crate::contender::Contender;
use crate::figures::{Spread, Unit, millis, millis_between};
use crate::keys::Watch;
use crate::proc::{cpu, status};
use crate::report::Section;
use crate::scrape::Scrape;
use crate::support::etcd::Etcd;
use crate::support::http::Client;
use crate::support::{let_pass, ms};
use rustix::process::Signal;
use std::time::Duration;
use tenure::clock;
use tenure::election::Time;

const TTL: Duration = ms(10_000);
/// Whoever doesn't lead all by then is reported with what it does lead.
const BOUND: Duration = ms(60_000);
/// Between two looks at everything, each of which takes a while itself.
const LOOK_PERIOD: Duration = ms(50);

const LEADS: &str = "\"state\":\"leader\"";
const FOLLOWS: &str = "\"state\":\"follower\"";

pub(crate) fn run(effort: Effort) -> Section {
    let mut section = Section::titled(
        "Many elections in one sidecar",
        "ttl 10 s, everything else as it is by default. \"Each\" is the difference to the sidecar with one election, divided. \
         Keepalives are counted by etcd; the longest is the smallest bucket bound of `tenure_keepalive_duration_seconds` \
         that none exceeded, since the start; a lease that is never renewed late is never valid for less than 4.67 s \
         (scraped ten times a second for 3 s). One process each: n = 1; the times of `/status` and `/metrics` are \
         medians and ranges of five.",
    );
    let window = ms(effort.of(30_000, 10_000));
    let mut costs = vec![strings([
        "elections",
        "all led after",
        "RSS (each)",
        "anonymous (each)",
        "CPU a minute (each)",
        "keepalives a second",
        "longest keepalive",
        "least validity seen",
        "step-downs while idle",
        "while scraped",
    ])];
    let mut answers = vec![strings([
        "elections",
        "`GET /status`",
        "size",
        "`GET /metrics`",
        "size",
    ])];
    let mut moves = vec![strings([
        "elections, fault",
        "first key deleted",
        "last key deleted",
        "the other leads all",
        "since the first deletion",
    ])];
    let mut one = None;
    for count in effort.of([1, 200, 2_000], [1, 20, 200]) {
        let etcd = Etcd::started();
        let elections: Vec<String> = (0..count).map(|number| format!("e{number:04}")).collect();
        let start = |id| Contender::start_many(&etcd.endpoint(), &elections, id, TTL);
        let mut first = start("first");
        let led = wait_all(&first, LEADS, count);
        let idle = Idle::of(&first, &etcd, window);
        let led = tell(first.started, led, count);
        costs.push(idle.row(count, led, one.get_or_insert(idle.clone())));
        answers.push(time_answers(first.port.unwrap(), count));
        if count > 1 {
            let mut second = start("second");
            moves.push(move_all(Signal::TERM, &mut first, &second, &etcd, count));
            drop(first);
            let third = start("third");
            moves.push(move_all(Signal::KILL, &mut second, &third, &etcd, count));
        }
    }
    section.table(&costs);
    section.table(&answers);
    section.say(
        "One sidecar leads all, another waits in all. Times from the signal on; deletions as a watch of the benchmark's own \
         sees them; who leads, by `/status` every 50 ms. etcd itself revokes at most 1,000 expired leases a second, in \
         steps of half a second.",
    );
    section.table(&moves);
    section
}

/// A sidecar that leads and is asked nothing.
#[derive(Clone)]
struct Idle {
    rss: f64,
    anonymous: f64,
    cpu_a_minute: f64,
    keepalives_a_second: f64,
    longest_keepalive: f64,
    least_valid: f64,
    /// By reason; until the first scrape, and while scraped.
    step_downs: [String; 2],
}

impl Idle {
    fn of(sidecar: &Contender, etcd: &Etcd, window: Duration) -> Idle {
        let (pid, port) = (sidecar.pid, sidecar.port.unwrap());
        let_pass(ms(5_000));
        let keepalives = || Scrape::of(etcd.port()).keepalives();
        let (spent_before, keepalives_before, began) = (cpu(pid), keepalives(), clock::now());
        let_pass(window);
        let lasted = clock::now().since(began).as_secs_f64();
        let spent = millis(cpu(pid) - spent_before);
        let sent = keepalives() - keepalives_before;
        // Before the first scrape, whose text is memory too.
        let (rss, anonymous) = (status(pid, "VmRSS"), status(pid, "RssAnon"));
        let first = Scrape::of(port);
        let scrapes = (0..30).map(|_| {
            let_pass(ms(100));
            let scrape = Scrape::of(port);
            let least = scrape.values("tenure_lease_valid_seconds", &[]);
            least.fold(f64::INFINITY, f64::min)
        });
        let least_valid = scrapes.fold(f64::INFINITY, f64::min);
        let last = Scrape::of(port);
        Idle {
            rss,
            anonymous,
            cpu_a_minute: spent * 60.0 / lasted,
            keepalives_a_second: sent / lasted,
            longest_keepalive: longest_keepalive(&last),
            least_valid,
            step_downs: [step_downs(&first, None), step_downs(&last, Some(&first))],
        }
    }

    fn row(&self, count: usize, led: String, one: &Idle) -> Vec<String> {
        let with_each = |value: f64, of_one: f64, unit: &dyn Fn(f64) -> String| {
            let total = unit(value);
            if count == 1 {
                return total;
            }
            let each = unit((value - of_one) / (count - 1) as f64);
            format!("{total} ({each})")
        };
        let memory = |mib: f64| {
            let (value, name) = if mib.abs() < 1.0 {
                (mib * 1024.0, "KiB")
            } else {
                (mib, "MiB")
            };
            Unit::Plain(name).write(value)
        };
        let time = |value| Unit::Millis.write(value);
        vec![
            Unit::Plain("").write(count as f64),
            led,
            with_each(self.rss, one.rss, &memory),
            with_each(self.anonymous, one.anonymous, &memory),
            with_each(self.cpu_a_minute, one.cpu_a_minute, &time),
            Unit::Plain("").write(self.keepalives_a_second),
            format!("≤ {}", time(self.longest_keepalive * 1e3)),
            format!("{:.2} s", self.least_valid),
            self.step_downs[0].clone(),
            self.step_downs[1].clone(),
        ]
    }
}

/// How many, for what reason, since an earlier scrape or the start.
fn step_downs(scrape: &Scrape, earlier: Option<&Scrape>) -> String {
    let count = |reason: &str| {
        let sum = |scrape: &Scrape| {
            let label = format!("reason=\"{reason}\"");
            scrape.sum("tenure_step_downs_total", &[&label])
        };
        sum(scrape) - earlier.map_or(0.0, sum)
    };
    let reasons = ["deadline", "lease_gone", "key_gone", "resign", "shutdown"];
    let counted = reasons.map(|reason| (count(reason), reason));
    let counted = counted.iter().filter(|(count, _)| *count > 0.0);
    let words: Vec<_> = counted
        .map(|(count, reason)| format!("{count} {reason}"))
        .collect();
    if words.is_empty() {
        "none".to_owned()
    } else {
        words.join(", ")
    }
}

/// The smallest bound, in seconds, of a bucket that holds them all.
fn longest_keepalive(scrape: &Scrape) -> f64 {
    let name = "tenure_keepalive_duration_seconds_bucket";
    let all = scrape.sum("tenure_keepalive_duration_seconds_count", &[]);
    let holds_all = |bound: &f64| {
        let label = format!("le=\"{bound}\"");
        scrape.sum(name, &[&label]) >= all
    };
    scrape
        .bounds(name)
        .into_iter()
        .find(holds_all)
        .unwrap_or(f64::INFINITY)
}

fn time_answers(port: u16, count: usize) -> Vec<String> {
    let mut row = vec![Unit::Plain("").write(count as f64)];
    for path in ["/status", "/metrics"] {
        let mut client = Client::new(port, ms(30_000));
        let mut size = 0;
        let times = (0..5).map(|_| {
            let asked = clock::now();
            size = client.get(path).unwrap().body.len();
            millis(clock::now().since(asked))
        });
        row.push(Spread::of(times).unwrap().write(Unit::Millis));
        row.push(format!(
            "{} KiB",
            Unit::Plain("").write(size as f64 / 1024.0)
        ));
    }
    row
}

/// Ends one, and sees when the other leads all.
fn move_all(
    signal: Signal,
    old: &mut Contender,
    new: &Contender,
    etcd: &Etcd,
    count: usize,
) -> Vec<String> {
    let name = if signal == Signal::TERM {
        "SIGTERM"
    } else {
        "SIGKILL"
    };
    let name = format!("{}, {name}", Unit::Plain("").write(count as f64));
    if let Err(waiting) = wait_all(new, FOLLOWS, count) {
        let wait = format!("not measured: {waiting} wait after {} s", BOUND.as_secs());
        return [&name, &wait, "", "", ""].map(str::to_owned).to_vec();
    }
    let_pass(ms(2_000));
    let watch = Watch::over(&etcd.endpoint(), "/tenure/");
    let told = clock::now();
    old.signal(signal);
    let led = wait_all(new, LEADS, count);
    let_pass(ms(500));
    let deletions = watch.deletions();
    let since = |time: Option<&Time>| match time {
        Some(time) => Unit::Millis.write(millis_between(told, *time)),
        None => "never".to_owned(),
    };
    let of_all = if deletions.len() == count {
        String::new()
    } else {
        format!(" ({} deletions)", deletions.len())
    };
    vec![
        name,
        since(deletions.first()),
        format!("{}{of_all}", since(deletions.last())),
        tell(told, led, count),
        tell(deletions.first().copied().unwrap_or(told), led, count),
    ]
}

/// When all its elections are in this state; or how many are when there is no more waiting.
fn wait_all(sidecar: &Contender, state: &str, count: usize) -> Result<Time, usize> {
    let mut client = Client::new(sidecar.port.unwrap(), ms(30_000));
    let give_up = clock::now() + BOUND;
    loop {
        let status = client.get("/status");
        let reached = status.map_or(0, |status| status.body.matches(state).count());
        let now = clock::now();
        if reached == count {
            return Ok(now);
        }
        if now > give_up {
            return Err(reached);
        }
        let_pass(LOOK_PERIOD);
    }
}

fn tell(since: Time, reached: Result<Time, usize>, count: usize) -> String {
    match reached {
        Ok(at) => Unit::Millis.write(millis_between(since, at)),
        Err(reached) => format!("{reached} of {count} after {} s", BOUND.as_secs()),
    }
}

fn strings<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}
