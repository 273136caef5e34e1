//! Pure. The copies of a topic's partitions: how safe what is acknowledged is, and whether anything can be.

use rdkafka::metadata::MetadataPartition;

/// The copies of one partition, as the brokers tell them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Copies {
    partition: i32,
    /// Whether a broker leads it.
    is_led: bool,
    /// The brokers that have one.
    all: Vec<i32>,
    /// Those of them that have all of it.
    in_sync: Vec<i32>,
}

impl From<&MetadataPartition> for Copies {
    fn from(partition: &MetadataPartition) -> Self {
        Self {
            partition: partition.id(),
            is_led: partition.leader() >= 0,
            all: partition.replicas().to_vec(),
            in_sync: partition.isr().to_vec(),
        }
    }
}

/// What there is to say of a topic's copies, in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Standing {
    /// Why partitions take no record just now.
    pub(super) faults: Vec<String>,
    /// What is no fault but good to know.
    pub(super) notes: Vec<String>,
}

impl Standing {
    /// By the copies of all partitions, and how many must be in sync for a record to be taken, where that is known.
    pub(super) fn of(partitions: &[Copies], least: Option<usize>) -> Self {
        let mut standing = Self::default();
        let replicas = partitions.iter().map(|copies| copies.all.len()).min().unwrap_or(0);
        if let Some(least) = least.filter(|least| *least > replicas && replicas > 0) {
            standing.notes.push(format!(
                "min.insync.replicas={least} is more than its replicas, {replicas}: older brokers take no record then"
            ));
        }
        if replicas == 1 {
            standing.notes.push("it has 1 replica: what is in it is lost with the disk of its broker".to_owned());
        } else if least == Some(1) {
            standing.notes.push(format!(
                "it has {replicas} replicas and min.insync.replicas=1: what one broker alone has acknowledged is lost with it; \
                 2 is usual"
            ));
        }
        let (leaderless, led): (Vec<_>, Vec<_>) = partitions.iter().partition(|copies| !copies.is_led);
        if !leaderless.is_empty() {
            standing.faults.push(format!(
                "{} no leader: nothing is written to or read from {} before {} is back",
                having(&leaderless),
                it(&leaderless),
                brokers(&leaderless, |copies| copies.all.clone())
            ));
        }
        let away = |copies: &Copies| -> Vec<i32> {
            copies.all.iter().filter(|broker| !copies.in_sync.contains(broker)).copied().collect()
        };
        // Newer brokers ask for no more than there are.
        let is_short = |copies: &&Copies| least.is_some_and(|least| copies.in_sync.len() < least.min(copies.all.len()));
        let (short, enough): (Vec<_>, Vec<_>) = led.into_iter().partition(is_short);
        if let (false, Some(least)) = (short.is_empty(), least) {
            standing.faults.push(format!(
                "{} fewer than min.insync.replicas={least} replicas in sync: nothing that the worker writes to {} is \
                 acknowledged, so that no commit succeeds and nothing is delivered; bring back {}, or wait until it has caught \
                 up",
                having(&short),
                it(&short),
                brokers(&short, away)
            ));
        }
        let lagging: Vec<_> = enough.into_iter().filter(|copies| !away(copies).is_empty()).collect();
        if !lagging.is_empty() {
            let brokers = brokers(&lagging, away);
            standing
                .notes
                .push(format!("{} replicas that are not in sync: {brokers} is away or behind", having(&lagging)));
        }
        standing
    }
}

/// "partition 3 has", "partitions 3, 4 have", "8 partitions, among them 0, 1, 2, have".
fn having(of: &[&Copies]) -> String {
    let named = of.iter().take(6).map(|copies| copies.partition.to_string()).collect::<Vec<_>>().join(", ");
    match of.len() {
        1 => format!("partition {named} has"),
        2..=6 => format!("partitions {named} have"),
        n => format!("{n} partitions, among them {named}, have"),
    }
}

fn it(of: &[&Copies]) -> &'static str {
    if of.len() == 1 { "it" } else { "them" }
}

/// "broker 1", "one of the brokers 1, 2".
fn brokers(of: &[&Copies], which: impl Fn(&Copies) -> Vec<i32>) -> String {
    let ids: std::collections::BTreeSet<i32> = of.iter().flat_map(|copies| which(copies)).collect();
    let named = ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if ids.len() == 1 { format!("broker {named}") } else { format!("one of the brokers {named}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copies(partition: i32, all: &[i32], in_sync: &[i32]) -> Copies {
        Copies { partition, is_led: !in_sync.is_empty(), all: all.to_vec(), in_sync: in_sync.to_vec() }
    }

    #[test]
    fn what_takes_no_record_is_a_fault_and_what_is_at_risk_is_said() {
        let all = |in_sync: &[i32]| {
            Standing::of(&[copies(0, &[1, 2, 3], &[1, 2, 3]), copies(1, &[1, 2, 3], in_sync)], Some(2))
        };
        assert_eq!(all(&[1, 2, 3]), Standing::default());
        assert_eq!(all(&[1, 3]).notes, ["partition 1 has replicas that are not in sync: broker 2 is away or behind"]);
        assert!(all(&[1, 3]).faults.is_empty());
        let short = all(&[1]);
        assert_eq!(
            short.faults,
            [
                "partition 1 has fewer than min.insync.replicas=2 replicas in sync: nothing that the worker writes to it is \
              acknowledged, so that no commit succeeds and nothing is delivered; bring back one of the brokers 2, 3, or wait \
              until it has caught up"
            ]
        );
        assert!(short.notes.is_empty());
        assert_eq!(
            all(&[]).faults,
            [
                "partition 1 has no leader: nothing is written to or read from it before one of the brokers 1, 2, 3 is back"
            ]
        );
    }

    #[test]
    fn of_a_topic_that_could_never_have_as_many_in_sync_as_it_asks_for_that_is_noted() {
        let many: Vec<_> = (0..8).map(|partition| copies(partition, &[1], &[1])).collect();
        let standing = Standing::of(&many, Some(2));
        assert!(standing.faults.is_empty(), "newer brokers take records: {standing:?}");
        assert_eq!(
            standing.notes,
            [
                "min.insync.replicas=2 is more than its replicas, 1: older brokers take no record then",
                "it has 1 replica: what is in it is lost with the disk of its broker"
            ]
        );
        assert_eq!(Standing::of(&many, None).notes.len(), 1);
        let (none, least) = (Vec::new(), Some(2));
        assert_eq!(Standing::of(&none, least), Standing::default(), "a topic that is not there");
        let away: Vec<_> = (0..8).map(|partition| copies(partition, &[1, 2], &[1])).collect();
        let fault = Standing::of(&away, least).faults.remove(0);
        assert!(fault.starts_with("8 partitions, among them 0, 1, 2, 3, 4, 5, have fewer than"), "{fault}");
    }
}
