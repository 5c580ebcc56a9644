//! `redis-doctor watch`: the report in this terminal, again and again.

mod view;

use crate::history::History;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use redis_monitor::Doctor;
use std::io::{self, IsTerminal};
use std::num::NonZeroU32;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// What the person at the terminal wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    End,
    Redraw,
}

/// Draws until somebody ends it, or `frames` pictures were drawn.
pub(crate) async fn run(
    mut doctor: Doctor,
    every: Duration,
    frames: Option<NonZeroU32>,
) -> Result<(), String> {
    if !io::stdout().is_terminal() {
        return Err("watch draws on a terminal; check --json is for programs".into());
    }
    let drawn = match ratatui::try_init() {
        Ok(mut terminal) => {
            let drawn = pictures(&mut terminal, &mut doctor, every, frames).await;
            ratatui::restore();
            drawn
        }
        Err(error) => Err(error),
    };
    doctor.close().await;
    drawn.map_err(|error| format!("cannot draw on this terminal: {error}"))
}

async fn pictures(
    terminal: &mut DefaultTerminal,
    doctor: &mut Doctor,
    every: Duration,
    frames: Option<NonZeroU32>,
) -> io::Result<()> {
    let (mut history, mut wishes, mut drawn) = (History::default(), wishes(), 0);
    let mut times = tokio::time::interval(every);
    times.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    terminal.draw(|frame| view::draw(frame, &history))?;
    loop {
        let wish = tokio::select! {
            wish = wishes.recv() => wish,
            report = async { times.tick().await; doctor.examine().await } => {
                history.push(report);
                drawn += 1;
                Some(Wish::Redraw)
            }
        };
        // No wishes can come once the terminal is gone.
        if wish.is_none_or(|wish| wish == Wish::End) {
            return Ok(());
        }
        terminal.draw(|frame| view::draw(frame, &history))?;
        if frames.is_some_and(|frames| drawn >= frames.get()) {
            return Ok(());
        }
    }
}

/// Reads keys on a thread of its own, which ends with the process.
fn wishes() -> UnboundedReceiver<Wish> {
    let (send, receive) = unbounded_channel();
    std::thread::spawn(move || {
        while let Ok(event) = event::read() {
            if let Some(wish) = wish(&event)
                && send.send(wish).is_err()
            {
                return;
            }
        }
    });
    receive
}

fn wish(event: &Event) -> Option<Wish> {
    match event {
        Event::Resize(..) => Some(Wish::Redraw),
        Event::Key(key) if key.kind == KeyEventKind::Press => {
            let interrupt = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
            (interrupt || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc)).then_some(Wish::End)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::crossterm::event::KeyEvent;

    #[test]
    fn q_escape_and_an_interrupt_end_it() {
        let pressed = |code, modifiers| wish(&Event::Key(KeyEvent::new(code, modifiers)));
        assert_eq!(pressed(KeyCode::Char('q'), KeyModifiers::NONE), Some(Wish::End));
        assert_eq!(pressed(KeyCode::Esc, KeyModifiers::NONE), Some(Wish::End));
        assert_eq!(pressed(KeyCode::Char('c'), KeyModifiers::CONTROL), Some(Wish::End));
        assert_eq!(pressed(KeyCode::Char('c'), KeyModifiers::NONE), None);
        assert_eq!(wish(&Event::Resize(1, 1)), Some(Wish::Redraw));
    }
}
