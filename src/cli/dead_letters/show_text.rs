//! One dead letter as text for a person.

use super::show::Shown;
use crate::cli::map_text::unfold;
use crate::cli::render::printable;
use crate::cli::shell::Shell;
use crate::cli::times;
use crate::inspect::{LetterOnce, Mask, advice};
use crate::sync::changelog::LetterState;

/// Prints it.
pub(super) fn print(shown: &mut Shown, shell: &mut Shell) -> std::io::Result<()> {
    // What is learnt from the record's value is masked in everything above it, too.
    let record = record(shown);
    let request = request(shown);
    shell.out.line(head(shown))?;
    shell.out.line("")?;
    let came_back = shown.life.newest.row.times > 1;
    for letter in &shown.life.letters {
        let heading = if came_back { once(letter) } else { "attempts".to_owned() };
        if came_back || !letter.attempts.is_empty() {
            shell.out.line(format!("{heading}{}", kept(letter)))?;
        }
        if !letter.attempts.is_empty() {
            let rows = letter.attempts.iter().map(|attempt| {
                let code = attempt.code.map_or_else(|| "-".to_owned(), |code| code.to_string());
                [&attempt.at, &attempt.latency, &attempt.status, &code]
                    .map(|text| format!("  {}", printable(text)))
                    .into()
            });
            shell.out.table(&["  TIME", "  LATENCY", "  STATUS", "  CODE"], rows)?;
            shell.out.line("")?;
        } else if came_back {
            shell.out.line("")?;
        }
    }
    shell.out.line(record + &request)
}

/// What one of several letters came to.
fn once(letter: &LetterOnce) -> String {
    let row = &letter.row;
    let code = row.err_code.map(|code| format!(", code {code}")).unwrap_or_default();
    let last = row.last_failed_at.as_deref().map(|at| format!(" at {}", printable(at))).unwrap_or_default();
    let attempts = if letter.attempts.is_empty() { "; it never came to a delivery" } else { "; attempts" };
    format!("{}: {}{code}{last}{attempts}", times_in_words(row.times), printable(&row.reason))
}

fn kept(letter: &LetterOnce) -> String {
    let (kept, made) = (letter.attempts.len(), letter.row.attempts);
    if u32::try_from(kept).is_ok_and(|kept| kept < made) {
        format!(" (the last {kept} of {made})")
    } else {
        String::new()
    }
}

/// The facts, one line each.
fn head(shown: &Shown) -> String {
    let (letter, mask) = (&shown.life.newest, &shown.mask);
    let row = &letter.row;
    let words = advice(&row.reason);
    let unknown = "a reason that this release does not know";
    let (first, last) = (shown.life.first_failed_at(), row.last_failed_at.as_deref());
    let failed = match (first, last) {
        (Some(first), Some(last)) if first != last => format!("{first} to {last}"),
        (first, last) => last.or(first).unwrap_or("-").to_owned(),
    };
    let message = letter.text("__connect.errors.exception.message").map(|text| mask.text(text));
    let response = letter.header("order-sync.response").map(|bytes| mask.clone().bytes(bytes));
    let rule = shown.rule.as_ref().map(|rule| format!("{} (rule {}, {})", rule.meaning, rule.name, rule.source));
    let facts = [
        ("dead letter", Some(row.id.to_string())),
        ("reason", Some(row.reason.to_string())),
        ("means", Some(words.map_or(unknown, |words| words.meaning).to_owned())),
        ("message", message),
        ("do", words.map(|words| words.action.to_owned())),
        ("status", Some(status(shown))),
        ("times", Some(times_in_words(row.times))),
        ("app", row.app().map(str::to_owned)),
        ("order", row.order_id.as_deref().map(str::to_owned)),
        ("stamp", row.update_time.map(|stamp| format!("update_time {stamp}"))),
        ("failed", Some(failed)),
        ("code", row.err_code.map(|code| code.to_string())),
        ("answer", response),
        ("judged", rule),
        ("written by", letter.text("order-sync.version").map(|version| format!("order-sync {version}"))),
    ];
    let mut lines = Vec::new();
    for (name, value) in facts {
        if let Some(value) = value {
            lines.push(format!("{name:<12} {}", printable(&value)));
        }
    }
    lines.join("\n")
}

fn status(shown: &Shown) -> String {
    let since = shown.state_at_ms.map(|at| format!(" (since {})", times::rfc3339(at))).unwrap_or_default();
    let words = match shown.state {
        LetterState::Open => "open: nobody has dealt with it",
        LetterState::Redriven => "redriven: its event was folded again, or its delivery is owed again",
        LetterState::Superseded => "superseded: a later state of the order was accepted, and holds what it said",
        LetterState::Discarded => "discarded: an operator has decided against it",
    };
    format!("{words}{since}")
}

/// `first time`, …, `12th time`.
fn times_in_words(times: u32) -> String {
    const WORDS: [&str; 6] = ["first", "second", "third", "fourth", "fifth", "sixth"];
    let at = usize::try_from(times).unwrap_or(usize::MAX).saturating_sub(1);
    match WORDS.get(at) {
        Some(word) => format!("dead-lettered for the {word} time"),
        None => format!("dead-lettered {times} times"),
    }
}

fn record(shown: &mut Shown) -> String {
    let (letter, mask) = (&shown.life.newest, &mut shown.mask);
    let value = letter.record.value.as_deref().map(|bytes| pretty(bytes, mask));
    let mut lines = vec!["original record".to_owned()];
    let at = letter.text("order-sync.original-timestamp").and_then(|text| text.parse().ok()).map(times::rfc3339);
    let key = letter.record.key.as_deref().map(|key| mask.bytes(key));
    for (name, value) in
        [("key", key), ("timestamp", at), ("left out", letter.text("order-sync.omitted").map(str::to_owned))]
    {
        if let Some(value) = value {
            lines.push(format!("  {name:<10} {}", printable(&value)));
        }
    }
    for header in letter.original_headers() {
        let value =
            header.value.as_deref().map_or_else(|| "(null)".to_owned(), |value| mask.header(&header.name, value));
        lines.push(format!("  header     {}: {}", printable(&header.name), printable(&value)));
    }
    lines.push(format!("  value{}", value.unwrap_or_else(|| "      (none)".to_owned())));
    lines.join("\n")
}

fn request(shown: &mut Shown) -> String {
    let Some(bytes) = shown.life.newest.header("order-sync.request") else { return String::new() };
    format!("\n\nrequest (without the token){}", pretty(bytes, &mut shown.mask))
}

/// Bytes as an indented block: JSON laid out, other texts as they stand.
fn pretty(bytes: &[u8], mask: &mut Mask) -> String {
    if bytes.is_empty() {
        return "      (empty)".to_owned();
    }
    let text = match mask.json(bytes) {
        Some(mut value) => {
            unfold(&mut value);
            serde_json::to_string_pretty(&value).unwrap_or_default()
        }
        None => mask.text(&String::from_utf8_lossy(bytes)),
    };
    let lines: Vec<String> = text.lines().map(|line| format!("\n    {}", printable(line))).collect();
    lines.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_how_often_a_letter_has_come_back() {
        let check = |times, words| assert_eq!(times_in_words(times), words);
        check(1, "dead-lettered for the first time");
        check(3, "dead-lettered for the third time");
        check(7, "dead-lettered 7 times");
    }
}
