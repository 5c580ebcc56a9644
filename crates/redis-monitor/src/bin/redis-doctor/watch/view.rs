//! One picture of the terminal view.

use crate::history::{Chart, History};
use crate::plain;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Block, Dataset, GraphType, Paragraph, Row, Table, Wrap};
use redis_monitor::{Finding, Report, Severity};

/// The charts that fit, the most telling first.
const CHARTS: [&str; 4] = ["commands", "memory", "connections", "waiting"];
/// A chart of fewer lines shows nothing.
const CHART_ROWS: u16 = 9;
const COLOURS: [Color; 6] =
    [Color::Blue, Color::Yellow, Color::Green, Color::Magenta, Color::Red, Color::Cyan];

pub(crate) fn draw(frame: &mut Frame<'_>, history: &History) {
    let Some(report) = history.newest() else {
        frame.render_widget(Paragraph::new("redis-doctor examines .."), frame.area());
        return;
    };
    let tables = table_rows(report);
    let charts = if frame.area().height > tables + CHART_ROWS + 8 { CHART_ROWS } else { 0 };
    let rows = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(4),
        Constraint::Length(charts),
        Constraint::Length(tables),
        Constraint::Length(1),
    ]);
    let [title, findings, drawn, facts, foot] = rows.areas(frame.area());
    frame.render_widget(heading(report), title);
    frame.render_widget(told(report), findings);
    if charts > 0 {
        row_of_charts(frame, drawn, &history.charts());
    }
    let [queues, locks, keys] =
        Layout::horizontal([Constraint::Fill(2), Constraint::Fill(2), Constraint::Fill(1)]).areas(facts);
    frame.render_widget(queue_table(report), queues);
    frame.render_widget(lock_table(report), locks);
    frame.render_widget(key_table(report), keys);
    let cost =
        format!("{} commands sent in {:.1} s; q ends", report.cost.commands, report.cost.took.as_secs_f64());
    frame.render_widget(Line::from(cost).dim(), foot);
}

/// The tables take a third of a common terminal at most.
fn table_rows(report: &Report) -> u16 {
    let longest = report.queues.len().max(report.locks.len()).max(report.keys.len());
    u16::try_from(longest).unwrap_or(u16::MAX).clamp(1, 6) + 3
}

fn badge(severity: Option<Severity>) -> Span<'static> {
    match severity {
        None => "well".green().bold(),
        Some(Severity::Note) => "note".cyan().bold(),
        Some(Severity::Warning) => "warning".yellow().bold(),
        Some(_) => "critical".red().bold(),
    }
}

fn heading(report: &Report) -> Line<'static> {
    let up = report.servers.iter().filter(|server| server.up).count();
    let servers = format!("  {up} of {} servers answer", report.servers.len());
    Line::from(vec!["redis-doctor  ".bold(), badge(report.worst()), servers.into()])
}

fn told(report: &Report) -> Paragraph<'static> {
    let mut lines: Vec<Line<'static>> = report.findings.iter().flat_map(finding).collect();
    if lines.is_empty() {
        lines.push("nothing to report".into());
    }
    Paragraph::new(lines).wrap(Wrap { trim: false }).block(Block::bordered().title("findings"))
}

fn finding(finding: &Finding) -> [Line<'static>; 2] {
    let place = format!(" on {}: ", plain(&finding.server));
    let head = vec![
        badge(Some(finding.severity)),
        format!("  {}", finding.signal).bold(),
        place.into(),
        plain(&finding.measured).into(),
    ];
    [Line::from(head), Line::from(format!("          {}", finding.advice)).dim()]
}

fn row_of_charts(frame: &mut Frame<'_>, area: Rect, charts: &[Chart]) {
    let shown: Vec<&Chart> =
        CHARTS.iter().filter_map(|id| charts.iter().find(|chart| chart.id == *id)).collect();
    let areas = Layout::horizontal(vec![Constraint::Fill(1); shown.len()]).split(area);
    for (chart, area) in shown.into_iter().zip(areas.iter()) {
        one_chart(frame, *area, chart);
    }
}

fn one_chart(frame: &mut Frame<'_>, area: Rect, chart: &Chart) {
    let points: Vec<Vec<(f64, f64)>> = chart
        .lines
        .iter()
        .map(|line| line.values.iter().filter_map(|(at, value)| Some((*at, (*value)?))).collect())
        .collect();
    let all = || points.iter().flatten();
    let oldest = all().map(|(at, _)| *at).fold(-60.0, f64::min);
    let highest = all().map(|(_, value)| *value).fold(1.0, f64::max);
    let datasets = points.iter().zip(COLOURS.iter().cycle()).map(|(points, colour)| {
        Dataset::default().marker(Marker::Braille).graph_type(GraphType::Line).style(*colour).data(points)
    });
    let newest: f64 = chart.lines.iter().filter_map(crate::history::Line::newest).sum();
    let title = format!("{} {}", chart.title, chart.unit.text(newest));
    let labels = [chart.unit.text(0.0), chart.unit.text(highest)];
    let drawn = ratatui::widgets::Chart::new(datasets.collect())
        .block(Block::bordered().title(title))
        .x_axis(Axis::default().bounds([oldest, 0.0]))
        .y_axis(Axis::default().bounds([0.0, highest]).labels(labels));
    frame.render_widget(drawn, area);
}

fn table<'a, const N: usize>(title: &'a str, columns: [&'a str; N], rows: Vec<[String; N]>) -> Table<'a> {
    let mut widths = vec![Constraint::Fill(1)];
    widths.extend(columns.iter().skip(1).map(|name| Constraint::Length(name.len().max(7) as u16)));
    let head = Row::new(columns).style(Style::new().add_modifier(Modifier::DIM));
    Table::new(rows.into_iter().map(Row::new), widths).header(head).block(Block::bordered().title(title))
}

fn queue_table(report: &Report) -> Table<'static> {
    let rows = report.queues.iter().map(|queue| {
        let oldest = queue.oldest_s.map_or("-".into(), |age| format!("{age} s"));
        let workers = if queue.lapsed > 0 {
            format!("{}+{}", queue.workers, queue.lapsed)
        } else {
            queue.workers.to_string()
        };
        [plain(&queue.name), queue.pending.to_string(), oldest, queue.dead.to_string(), workers]
    });
    table("queues", ["", "waiting", "oldest", "dead", "workers"], rows.collect())
}

fn lock_table(report: &Report) -> Table<'static> {
    let rows = report.locks.iter().map(|lock| {
        let left = format!("{} s", lock.lease_left_s);
        [plain(&lock.name), plain(lock.label.as_deref().unwrap_or("-")), left, lock.waiting.to_string()]
    });
    table("locks", ["", "holder", "left", "waiting"], rows.collect())
}

fn key_table(report: &Report) -> Table<'static> {
    let rows = report.keys.iter().map(|counted| [counted.kind.to_owned(), counted.estimated.to_string()]);
    table("keys", ["", "about"], rows.collect())
}
