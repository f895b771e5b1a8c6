//! footprint: what an idle leader costs: memory, threads, open files, CPU, keepalives on the wire, and the size
//! of the program.

use crate::Effort;
use crate::contender::{Contender, Kind, LEAD_BOUND, TTL};
use crate::figures::{Spread, Unit, millis};
use crate::proc::{cpu, open_files, status};
use crate::programs::{etcdctl_path, go_path, stripped_size, tenure_path};
use crate::report::Section;
use crate::scrape::Scrape;
use crate::support::etcd::Etcd;
use crate::support::{let_pass, ms};
use tenure::clock;

const KINDS: [Kind; 4] = [Kind::Tenure, Kind::Go, Kind::Elect, Kind::Lock];
/// Of each kind, so that there is a range.
const COPIES: usize = 3;

struct Group {
    kind: Kind,
    candidates: Vec<Contender>,
    etcd: Etcd,
}

pub(crate) fn run(effort: Effort) -> Section {
    let window = ms(effort.of(60_000, 15_000));
    let groups = KINDS.map(Group::idle);
    let_pass(ms(5_000));
    let before: Vec<_> = groups.iter().map(Group::consumed).collect();
    let began = clock::now();
    let_pass(window);
    let lasted = clock::now().since(began).as_secs_f64();
    let mut rows = vec![row(
        "an idle leader",
        [
            "RSS",
            "anonymous",
            "threads",
            "open files",
            "CPU a minute",
            "keepalives a second",
            "program, stripped",
        ],
    )];
    for (group, (cpu_before, keepalives_before)) in groups.iter().zip(before) {
        let (cpu_after, keepalives_after) = group.consumed();
        let spent = cpu_after.iter().zip(&cpu_before);
        let a_minute = spent.map(|(after, before)| (after - before) * 60.0 / lasted);
        let of_all = |figure: &dyn Fn(u32) -> f64, unit| {
            let figures = group
                .candidates
                .iter()
                .map(|candidate| figure(candidate.pid));
            Spread::of(figures).unwrap().write(unit)
        };
        let mib = Unit::Plain("MiB");
        let keepalives = (keepalives_after - keepalives_before) / lasted / COPIES as f64;
        let program = match group.kind {
            Kind::Tenure => tenure_path(),
            Kind::Go | Kind::GoObserving => go_path(),
            Kind::Elect | Kind::Lock => etcdctl_path(),
        };
        let size = stripped_size(&program).map_or("not measured".to_owned(), |bytes| {
            format!("{:.1} MiB", bytes as f64 / 1_048_576.0)
        });
        rows.push(row(
            group.kind.name(),
            [
                &of_all(&|pid| status(pid, "VmRSS"), mib),
                &of_all(&|pid| status(pid, "RssAnon"), mib),
                &of_all(&|pid| status(pid, "Threads"), Unit::Plain("")),
                &of_all(&open_files, Unit::Plain("")),
                &Spread::of(a_minute).unwrap().write(Unit::Millis),
                &format!("{keepalives:.2}"),
                &size,
            ],
        ));
    }
    let mut section = Section::titled(
        "Footprint",
        &format!(
            "{COPIES} processes of each, all at the same time, each leading an election of its own with nobody waiting \
             and nobody asking; each kind on an etcd of its own. CPU: the sum over the threads' `schedstat`, over {:.0} s \
             after 5 s of settling. Keepalives: counted by etcd. The ttl is 5 s, and 60 s for etcdctl elect.",
            window.as_secs_f64()
        ),
    );
    section.table(&rows);
    section
}

fn row<const N: usize>(name: &str, cells: [&str; N]) -> Vec<String> {
    let cells = cells.iter().map(|cell| (*cell).to_owned());
    std::iter::once(name.to_owned()).chain(cells).collect()
}

impl Group {
    fn idle(kind: Kind) -> Group {
        let etcd = Etcd::started();
        let candidates = (0..COPIES).map(|copy| {
            let election = format!("idle-{copy}");
            let candidate = Contender::start(kind, &etcd.endpoint(), &election, "a", TTL);
            candidate.wait_leading(LEAD_BOUND);
            candidate
        });
        Group {
            kind,
            candidates: candidates.collect(),
            etcd,
        }
    }

    /// CPU so far by process, in milliseconds, and keepalives of all.
    fn consumed(&self) -> (Vec<f64>, f64) {
        let spent = self
            .candidates
            .iter()
            .map(|candidate| millis(cpu(candidate.pid)));
        (spent.collect(), Scrape::of(self.etcd.port()).keepalives())
    }
}
