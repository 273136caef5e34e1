//! The plan for people.

use super::command::{Args, Pace};
use super::plan::Plan;
use crate::cli::render::printable;
use crate::cli::shell::Shell;
use crate::config::format_duration;
use crate::inspect::replay::{Differs, Finding, Never, Unknown, Verdict};

/// Tells it.
pub(super) fn tell(args: &Args, plan: &Plan, pace: &Pace, shell: &mut Shell) -> std::io::Result<()> {
    let is_file = args.file.is_some();
    counts(plan, if is_file { UNREAD_OF_FILE } else { UNREAD }, shell)?;
    if !plan.samples.is_empty() {
        shell.out.line(format!("\ndiffering, {} of {}:", plan.samples.len(), plan.tally.differing))?;
        plan.samples.iter().try_for_each(|finding| sample(finding, shell))?;
    }
    if !plan.looks.is_empty() {
        shell.out.line("\na resync does not mend these; look at them:")?;
        let last = if is_file { line_of_file } else { record };
        plan.looks.iter().try_for_each(|finding| look(finding, last, shell))?;
        let more = plan.tally.looks - u64::try_from(plan.looks.len()).unwrap_or_default();
        if more > 0 {
            shell.out.line(format!("  and {more} more: --output json names all of them"))?;
        }
    }
    let tally = &plan.tally;
    shell.out.line(format!(
        "\npushes needed: {} ({} by resync, {} owed by the workers already, {} that a person has to look at)",
        tally.pushes(),
        tally.to_resync(),
        tally.owed,
        tally.looks
    ))?;
    let Some(takes) = pace.takes else { return Ok(()) };
    let how = if args.apply { "" } else { "; --apply gives them" };
    shell.out.line(format!("resyncs take {} by {}{how}", format_duration(takes), pace.by))
}

/// What is said of events that cannot be folded. Of a line nothing says whether its event has a dead letter.
const UNREAD: &str = "events that cannot be folded by these settings, and have no dead letter";
const UNREAD_OF_FILE: &str = "events that cannot be folded by these settings";

fn counts(plan: &Plan, unread: &str, shell: &mut Shell) -> std::io::Result<()> {
    let tally = &plan.tally;
    let always = [
        ("events", tally.events, "read"),
        ("orders", tally.orders, "seen in them"),
        ("same", tally.same, "as the log says, and accepted by Douyin"),
        ("differing", tally.differing, "the changelog holds another content"),
        ("never delivered", tally.never_delivered, "Douyin has not accepted the last state"),
    ];
    let sometimes = [
        ("discarded", tally.discarded, "not delivered, and decided against"),
        ("left", tally.left, "removed by retention"),
        ("later", tally.later, "moved on behind the end of what was read"),
        ("undecided", tally.undecided, "what was read does not tell"),
        ("pending", tally.pending, "events behind the workers' position, not compared"),
        ("set aside", tally.set_aside, "events that are dead letters and never were folded"),
        ("unread", tally.unread, unread),
    ];
    let rows = always.into_iter().chain(sometimes.into_iter().filter(|(_, count, _)| *count > 0));
    let rows: Vec<_> = rows.collect();
    let width = rows.iter().map(|(_, count, _)| count.to_string().len()).max().unwrap_or_default();
    rows.iter().try_for_each(|(name, count, what)| shell.out.line(format!("{name:<16} {count:>width$}  {what}")))
}

fn title(finding: &Finding) -> String {
    let (order, app) = (printable(&finding.identity.order_id), printable(finding.identity.app_id.as_str()));
    let place = finding.place.as_ref().map(|place| format!(" in {}", printable(&place.to_string())));
    format!("{order} of {app}{}", place.unwrap_or_default())
}

fn sample(finding: &Finding, shell: &mut Shell) -> std::io::Result<()> {
    shell.out.line(format!("  {}: {}", title(finding), reason(finding.verdict)))?;
    let is_mapping = finding.verdict == Verdict::Differing(Differs::Mapping);
    let (ours, theirs) = if is_mapping { ("by these settings", "sent then") } else { ("by the log", "held") };
    for difference in &finding.differences {
        let field = printable(&difference.field);
        let (log, changelog) = (difference.log.to_string(), difference.changelog.to_string());
        shell.out.line(format!("    {field}: {} {ours}, {} {theirs}", printable(&log), printable(&changelog)))?;
    }
    if is_mapping && finding.differences.is_empty() {
        let words = "what was sent then is not in the changelog any more, and no choice of limits.text, douyin.ticket_lists and \
                     douyin.goods_entry_type gives it: another client_key or release has mapped it";
        shell.out.line(format!("    {words}"))?;
    }
    Ok(())
}

/// The event that was applied last, as a record of its partition.
fn record(finding: &Finding) -> Option<String> {
    let (place, offset) = (finding.place.as_ref()?, finding.last_offset?);
    Some(format!("{}/{offset}", printable(&place.to_string())))
}

/// The same, as a line of the file that was read.
fn line_of_file(finding: &Finding) -> Option<String> {
    finding.last_offset.map(|line| format!("line {line} of the file"))
}

fn look(finding: &Finding, last: fn(&Finding) -> Option<String>, shell: &mut Shell) -> std::io::Result<()> {
    let event = last(finding).map(|event| format!("; its last event is {event}")).unwrap_or_default();
    shell.out.line(format!("  {}: {}{event}", title(finding), reason(finding.verdict)))
}

/// Why it is as it is, and what to do about it where a resync does not.
fn reason(verdict: Verdict) -> String {
    match verdict {
        Verdict::Same => "the same".to_owned(),
        Verdict::Left => "removed by retention".to_owned(),
        Verdict::Discarded => "decided against".to_owned(),
        Verdict::Later => "moved on since".to_owned(),
        Verdict::Differing(Differs::Mapping) => "the same document, mapped otherwise by these settings".to_owned(),
        Verdict::Differing(Differs::State) => "another state is held; see `orders show`, and `orders fold`".to_owned(),
        Verdict::Differing(Differs::Missed) => "its last event is not in the held state; see `orders fold`".to_owned(),
        Verdict::Differing(Differs::Unsendable(reason)) => format!("cannot be sent by these settings ({reason})"),
        Verdict::NeverDelivered(Never::Owed) => "owed".to_owned(),
        Verdict::NeverDelivered(Never::DeadLetter) => "its last delivery is a dead letter".to_owned(),
        Verdict::NeverDelivered(Never::SetAside) => "its events are dead letters; see `dead-letters list`".to_owned(),
        Verdict::NeverDelivered(Never::NoState) => {
            "neither a state nor a dead letter is held, though its events were passed; see `orders fold`, `verify`"
                .to_owned()
        }
        Verdict::Undecided(
            Unknown::BeganEarlier
            | Unknown::MayHaveLeft
            | Unknown::Commanded
            | Unknown::Changing
            | Unknown::OnlySetAside,
        ) => "what was read does not tell".to_owned(),
    }
}
