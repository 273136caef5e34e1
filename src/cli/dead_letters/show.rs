//! `order-sync dead-letters show`: one dead letter as a whole.

use super::show_text;
use crate::app::settings;
use crate::cli::exit::{self, Exit};
use crate::cli::reading::{self, Reading};
use crate::cli::render::{self, Output, printable};
use crate::cli::shell::Shell;
use crate::cli::unread::LETTERS_OPEN;
use crate::douyin::table::{OutcomeTable, Rule};
use crate::douyin::verdict::{Answer, Break, Exchange, judge_push};
use crate::inspect::{AttemptLine, LetterDetail, LetterId, LetterLife, Listed, Mask, Personal, advice, find_letters};
use crate::sync::changelog::LetterState;

/// Options of `order-sync dead-letters show`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// The letter: topic/partition/offset of the original record
    #[arg(value_name = "ID")]
    pub id: LetterId,
    /// Show personal data (`open_id` and its like) in full
    #[arg(long)]
    pub show_personal_data: bool,
}

const HELP: &str = "\
Times are UTC. The request is what was mapped, without the access token. Of a record that came back every
letter's attempts are told, the oldest first, and everything else by the newest letter. With --output json it
is one object; docs/cli-json.md describes it.

Exit codes: 1 there is no such dead letter; 7 Kafka or a topic is not there.

Examples:
  order-sync dead-letters show order-events/3/1024
  order-sync dead-letters show order-events/3/1024 --output json";

/// What `show` tells, before it is text or JSON.
pub(super) struct Shown {
    /// All of the record's letters; the newest counts.
    pub(super) life: LetterLife,
    pub(super) state: LetterState,
    /// When it became so, milliseconds since the epoch, where the changelog says.
    pub(super) state_at_ms: Option<i64>,
    /// The rule that judged the last answer, by the settings of today.
    pub(super) rule: Option<Rule>,
    pub(super) mask: Mask,
}

/// Runs `order-sync dead-letters show`.
pub(super) fn execute(args: &Args, shell: &mut Shell) -> anyhow::Result<Exit> {
    let personal = if args.show_personal_data { Personal::Shown } else { Personal::Masked };
    reading::with(shell, |reading, shell| {
        let mut shown = find(&args.id, personal, reading)?;
        reading.bar.finish_and_clear();
        match shell.output() {
            Output::Json => shell.out.json(&json(&mut shown))?,
            Output::Text => show_text::print(&mut shown, shell)?,
        }
        Ok(Exit::Done)
    })
}

fn find(id: &LetterId, personal: Personal, reading: &mut Reading) -> anyhow::Result<Shown> {
    let topic = reading.config.kafka.dead_letter_topic.clone();
    let partition = id.source.partition;
    let spans = reading.letters(Some(partition))?;
    let bar = reading.bar.clone();
    bar.set_message(topic.clone());
    let mut found = None;
    for span in spans.iter().copied() {
        let mut progress = |read| Reading::progress(&bar, read);
        found = find_letters(&mut reading.scan, &topic, span, id, &mut progress).map_err(reading::kafka)?;
    }
    let Some(life) = found else {
        let words = format!(
            "there is no dead letter {id} in partition {partition} of {topic}; `order-sync dead-letters list` names those \
             there are"
        );
        return Err(exit::fail(Exit::Failure, anyhow::anyhow!(words)));
    };
    note_missing(&life, reading);
    let letter = &life.newest;
    let mut statuses = reading.statuses(&spans)?;
    let word = statuses.take(&mut reading.scan, id, letter.row.written_ms);
    reading.note_unread(statuses.unread(), LETTERS_OPEN);
    let listed = Listed { row: letter.row.clone(), word: word.map_err(reading::kafka)? };
    let attempts = letter.attempt_log();
    let table = settings::outcomes(&reading.config)?;
    let rule = exchange(letter, &attempts).and_then(|exchange| rule(&exchange, &table));
    Ok(Shown { state: listed.state(), state_at_ms: listed.state_at_ms(), life, rule, mask: Mask::new(personal) })
}

/// Says how many of the letters that the newest speaks of were not found.
fn note_missing(life: &LetterLife, reading: &Reading) {
    let (missing, times) = (life.missing(), life.newest.row.times);
    if missing == 0 {
        return;
    }
    let topic = printable(&reading.config.kafka.dead_letter_topic);
    let words = if life.is_cut() {
        format!("note: of its {times} letters the newest {} are told", life.letters.len())
    } else {
        format!(
            "note: of its {times} letters {missing} are no longer in {topic} (retention, or another hand): their attempts are \
             not known"
        )
    };
    reading.bar.suspend(|| render::note(words));
}

/// What the last attempt came to.
fn exchange(letter: &LetterDetail, attempts: &[AttemptLine]) -> Option<Exchange> {
    let last = attempts.last()?;
    if let Some(broken) = Break::from_word(&last.status) {
        return Some(Exchange::Broken(broken));
    }
    let body = letter.header("order-sync.response").unwrap_or_default().to_vec();
    Some(Exchange::Answered(Answer { status: last.status.parse().ok()?, retry_after: None, body }))
}

fn rule(exchange: &Exchange, table: &OutcomeTable) -> Option<Rule> {
    table.rule(&judge_push(exchange, table).rule).cloned()
}

fn json(shown: &mut Shown) -> serde_json::Value {
    let first_failed_at = shown.life.first_failed_at().map(str::to_owned);
    let (letters, attempt_log) = letters_json(&shown.life);
    let Shown { life, mask, .. } = shown;
    let letter = &life.newest;
    let row = &letter.row;
    // What is learnt from any of them is masked in all.
    for header in ["order-sync.request", "order-sync.response"] {
        letter.header(header).into_iter().for_each(|bytes| mask.look(bytes));
    }
    let value = letter.record.value.as_deref().map(|bytes| masked(mask, bytes));
    let request = letter.header("order-sync.request").map(|bytes| masked(mask, bytes));
    let response = letter.header("order-sync.response").map(|bytes| masked(mask, bytes));
    let headers: Vec<_> = letter
        .original_headers()
        .iter()
        .map(|header| {
            let value = header.value.as_deref().map(|bytes| mask.header(&header.name, bytes));
            serde_json::json!({"name": header.name, "value": value})
        })
        .collect();
    let words = advice(&row.reason);
    serde_json::json!({
        "id": row.id.to_string(),
        "reason": row.reason,
        "meaning": words.map(|words| words.meaning),
        "action": words.map(|words| words.action),
        "message": letter.text("__connect.errors.exception.message").map(|text| mask.text(text)),
        "stage": letter.text("__connect.errors.stage"),
        "status": shown.state.as_str(),
        "status_at": shown.state_at_ms.map(crate::cli::times::rfc3339),
        "app_id": row.app(),
        "order_id": row.order_id,
        "update_time": row.update_time,
        "err_code": row.err_code,
        "attempts": row.attempts,
        "times": row.times,
        "first_failed_at": first_failed_at,
        "last_failed_at": row.last_failed_at,
        "letters": letters,
        "attempt_log": attempt_log,
        "rule": shown.rule.as_ref().map(|rule| serde_json::json!({
            "name": &*rule.name, "verdict": rule.verdict.as_str(), "meaning": rule.meaning, "source": rule.source,
        })),
        "response": response,
        "request": request,
        "record": {
            "key": letter.record.key.as_deref().map(|key| mask.bytes(key)),
            "value": value,
            "headers": headers,
            "timestamp_ms": letter.text("order-sync.original-timestamp").and_then(|text| text.parse::<i64>().ok()),
            "omitted": letter.text("order-sync.omitted"),
        },
        "letter_offset": letter.record.offset.get(),
        "group": letter.text("order-sync.group"),
        "version": letter.text("order-sync.version"),
    })
}

/// The record's letters in short, and all of their attempts.
fn letters_json(life: &LetterLife) -> (Vec<serde_json::Value>, Vec<serde_json::Value>) {
    let letters = life.letters.iter().map(|letter| {
        let row = &letter.row;
        serde_json::json!({
            "times": row.times, "letter_offset": row.place.1.get(), "reason": row.reason, "err_code": row.err_code,
            "update_time": row.update_time, "attempts": row.attempts, "last_failed_at": row.last_failed_at,
        })
    });
    let lines = life.letters.iter().flat_map(|letter| letter.attempts.iter().map(|line| (letter.row.times, line)));
    let attempts = lines.map(|(times, line)| {
        let AttemptLine { at, latency, status, code } = line;
        serde_json::json!({"times": times, "at": at, "latency": latency, "status": status, "code": code})
    });
    (letters.collect(), attempts.collect())
}

/// JSON as it is; UTF-8 as a text; of other bytes their length and digest: `export` has them.
fn masked(mask: &mut Mask, bytes: &[u8]) -> serde_json::Value {
    match (mask.json(bytes), std::str::from_utf8(bytes)) {
        (Some(value), _) => value,
        (None, Ok(text)) => mask.text(text).into(),
        (None, Err(_)) => serde_json::json!({"bytes": bytes.len(), "sha256": crate::order::Digest::of(bytes).to_hex()}),
    }
}
