//! The page.

use super::actions::{Action, Said};
use super::chart::figure;
use super::{Letters, View};
use maud::{DOCTYPE, Markup, html};
use redis_monitor::{Finding, LockFacts, QueueFacts, Report, Server, Severity};

/// The most workers and locks in a table.
const ROWS: usize = 50;

pub(crate) fn page(view: &View<'_>) -> Markup {
    let every_s = view.every.as_secs().max(1);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (word(view.report.worst())) " – redis-doctor" }
                link rel="icon" href="data:,";
                link rel="stylesheet" href="page.css";
                script src="page.js" defer {}
                noscript { meta http-equiv="refresh" content=(every_s); }
            }
            body data-every-ms=(view.every.as_millis()) {
                header {
                    h1 { "redis-doctor" }
                    button #pause type="button" hidden { "Pause" }
                    @if view.can_act { (token_form()) }
                }
                p #said role="status" class=[view.said.map(|said| if said.is_done() { "done" } else { "refused" })] {
                    @if let Some(said) = view.said { (said.sentence()) }
                }
                main { (body(view)) }
            }
        }
    }
}

/// What every button of the page belongs to. The token goes along with each action and is kept
/// nowhere.
fn token_form() -> Markup {
    html! {
        form #actions method="post" action="act" {
            label for="token" { "Token for actions" }
            input #token name="token" type="password" required autocomplete="current-password";
        }
    }
}

fn body(view: &View<'_>) -> Markup {
    let report = view.report;
    html! {
        (findings(report))
        section aria-labelledby="charts" {
            h2 #charts { "Over time" }
            div.charts { @for chart in view.charts { (figure(chart)) } }
        }
        (servers(&report.servers))
        @if !report.queues.is_empty() { (queues(view)) }
        @if !report.locks.is_empty() { (locks(&report.locks, view.can_act)) }
        @if !report.keys.is_empty() { (keys(report)) }
        footer {
            (report.cost.commands) " commands sent in " (format!("{:.1}", report.cost.took.as_secs_f64()))
            " s, every " (view.every.as_secs()) " s. "
            @if !view.can_act { "Read-only." }
        }
    }
}

fn word(worst: Option<Severity>) -> &'static str {
    match worst {
        None => "Well",
        Some(Severity::Note) => "Note",
        Some(Severity::Warning) => "Warning",
        Some(_) => "Critical",
    }
}

/// A severity by its word, its shape and its colour.
fn badge(severity: Option<Severity>) -> Markup {
    let (class, shape) = match severity {
        None => ("well", "✓"),
        Some(Severity::Note) => ("note", "●"),
        Some(Severity::Warning) => ("warning", "▲"),
        Some(_) => ("critical", "■"),
    };
    html! { span class={ "badge " (class) } { span aria-hidden="true" { (shape) } " " (word(severity)) } }
}

fn findings(report: &Report) -> Markup {
    html! {
        section #findings aria-labelledby="state" {
            h2 #state { "State " (badge(report.worst())) }
            @if report.findings.is_empty() { p { "Nothing to report." } }
            ul.findings { @for finding in &report.findings { (one(finding)) } }
        }
    }
}

fn one(finding: &Finding) -> Markup {
    html! {
        li data-signal=(finding.signal) {
            p { (badge(Some(finding.severity))) " " b { (finding.signal) } " on " bdi { (finding.server) } }
            p { bdi { (finding.measured) } }
            p.advice { (finding.advice) }
        }
    }
}

/// A table that scrolls by itself where the window is narrow.
fn table(name: &str, columns: &[&str], rows: &Markup) -> Markup {
    html! {
        div.scroll role="region" aria-label=(name) tabindex="0" {
            table {
                thead { tr { @for column in columns { th scope="col" { (column) } } } }
                tbody { (rows) }
            }
        }
    }
}

fn servers(servers: &[Server]) -> Markup {
    let rows = html! {
        @for server in servers {
            tr {
                th scope="row" { bdi { (server.address) } }
                td { @if !server.up { "no answer" } @else if server.role == "slave" { "replica" } @else { "primary" } }
                td { (server.version) }
            }
        }
    };
    html! {
        section aria-labelledby="servers" {
            h2 #servers { "Servers" }
            (table("Servers", &["Address", "Role", "Version"], &rows))
        }
    }
}

fn queues(view: &View<'_>) -> Markup {
    let rows = html! {
        @for queue in &view.report.queues {
            tr data-queue=(queue.name) {
                th scope="row" { bdi { (queue.name) } }
                td.number { (queue.pending) }
                td.number { (queue.oldest_s.map_or("–".to_owned(), |age| format!("{age} s"))) }
                td.number { (queue.delayed) }
                td.number { (queue.dead) }
                td { (workers(queue)) }
            }
        }
    };
    let columns = ["Queue", "Waiting", "Oldest", "Delayed", "Dead", "Workers"];
    html! {
        section aria-labelledby="queues" {
            h2 #queues { "Queues" }
            (table("Queues", &columns, &rows))
            @for (name, letters) in view.letters { (dead(name, letters, view.can_act)) }
        }
    }
}

fn workers(queue: &QueueFacts) -> Markup {
    let id = format!("workers-{}", queue.name);
    html! {
        (queue.workers)
        @if queue.lapsed > 0 { ", " (queue.lapsed) " lapsed" }
        @if !queue.leases.is_empty() {
            details id=(id) {
                summary { "leases" }
                ul { @for worker in queue.leases.iter().take(ROWS) {
                    li { code { (worker.incarnation) } " "
                        (worker.lease_left_s.map_or("lapsed".to_owned(), |left| format!("{left} s left"))) }
                } }
            }
        }
    }
}

fn dead(queue: &str, letters: &Letters, can_act: bool) -> Markup {
    let rows = html! {
        @for (id, why, failures) in letters {
            tr data-letter=(id) {
                td { code { (id) } }
                td { bdi { (why) } }
                td.number { (failures) }
                @if can_act { td.actions {
                    (button("Retry", &Action::Retry { letter: id.clone(), queue: queue.to_owned() }))
                    (sure("Delete", &Action::Delete { letter: id.clone(), queue: queue.to_owned() }))
                } }
            }
        }
    };
    let columns = ["Dead letter", "Why", "Failures", "Actions"];
    let columns = if can_act { &columns[..] } else { &columns[..3] };
    html! {
        h3 { "Dead letters of " bdi { (queue) } ", the oldest first" }
        (table("Dead letters", columns, &rows))
        @if can_act { div.actions { (sure("Replay all", &Action::Replay { queue: queue.to_owned() })) } }
    }
}

fn locks(locks: &[LockFacts], can_act: bool) -> Markup {
    let rows = html! {
        @for lock in locks.iter().take(ROWS) {
            tr data-lock=(lock.name) {
                th scope="row" { bdi { (lock.name) } }
                td { bdi { (lock.label.as_deref().unwrap_or("–")) } }
                td.number { (lock.fence) }
                td.number { (lock.held_s) " s" }
                td.number { (lock.lease_left_s) " s" }
                td.number { (lock.waiting) }
                @if can_act { td.actions {
                    (sure("Release", &Action::Release { fence: lock.fence, lock: lock.name.clone() }))
                } }
            }
        }
    };
    let columns = ["Lock", "Holder", "Fence", "Held for", "Lease left", "Waiting", "Actions"];
    let columns = if can_act { &columns[..] } else { &columns[..6] };
    html! {
        section aria-labelledby="locks" {
            h2 #locks { "Locks" }
            (table("Locks", columns, &rows))
        }
    }
}

fn keys(report: &Report) -> Markup {
    html! {
        section aria-labelledby="keys" {
            h2 #keys { "Keys" }
            dl.keys { @for counted in &report.keys {
                div { dt { (counted.kind) } dd {
                    @if counted.estimated > counted.sampled { "about " }
                    (counted.estimated)
                } }
            } }
        }
    }
}

fn button(name: &str, action: &Action) -> Markup {
    html! { button type="submit" form="actions" name="do" value=(action.spell()) { (name) } }
}

/// A button behind a second look: what it does cannot be taken back.
fn sure(name: &str, action: &Action) -> Markup {
    html! {
        details.sure id={ "sure-" (action.spell()) } {
            summary { (name) "…" }
            (button(&format!("{name}, I am sure"), action))
        }
    }
}

impl Said {
    pub(crate) fn place(self) -> String {
        format!("./?said={}", self.word())
    }
}
