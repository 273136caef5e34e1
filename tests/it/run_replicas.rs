//! A topic of which too few replicas are in sync takes no record: what a worker and the tools say of that.

use std::sync::PoisonError;
use std::time::Duration;

use rdkafka::admin::TopicReplication;

use crate::kafka_nodes::{AWAY, ONE_AWAY};
use crate::run::{Site, produce, sandbox, terminate};
use crate::support::kafka::eventually;
use crate::support::real_kafka::RealKafka;

#[test]
fn real_kafka_commits_that_too_few_replicas_take_fail_with_the_reason_and_are_made_when_they_are_back() {
    let Some(kafka) = RealKafka::three() else { return };
    let _one = ONE_AWAY.lock().unwrap_or_else(PoisonError::into_inner);
    let topic = kafka.topic("short", 1, &[]);
    let sandbox = sandbox(Duration::ZERO);
    let site = Site::new(&kafka.brokers, &topic, &sandbox.base_url());
    let changelog = format!("{}.changelog", site.group());
    let settings = [
        ("min.insync.replicas", "2"),
        ("cleanup.policy", "compact"),
        ("delete.retention.ms", "604800000"),
        ("max.message.bytes", "4259840"),
    ];
    kafka.create_on(&changelog, 1, TopicReplication::Variable(&[&[1, AWAY]]), &settings);
    let first = u64::try_from(produce(kafka, &topic, 3)).unwrap();
    let mut worker = site.spawn(&[]);
    let applied = || sandbox.report().applied;
    eventually("the first pushes", || applied() == first);
    let (code, said) = site.tool(&["topics", "check"]);
    assert_eq!(code, Some(0), "{said}");

    kafka.node("stop-node", AWAY);
    let short = "partition 0 has fewer than min.insync.replicas=2 replicas in sync";
    eventually("a fault", || site.tool(&["topics", "check"]).1.contains(short));
    for (code, said) in [site.tool(&["topics", "check"]), site.tool(&["check"])] {
        let is_told = said.contains(&changelog) && said.contains(short) && said.contains("bring back broker 3");
        assert!(code == Some(7) && is_told, "{code:?} {said}");
    }
    produce(kafka, &topic, 6);
    let none = "order_sync_commits_total{result=\"failed\"} 0";
    let metrics = || site.get("/metrics").map(|(_, text)| text).unwrap_or_default();
    eventually("a commit that failed", || {
        let text = metrics();
        text.contains("order_sync_commits_total") && !text.contains(none)
    });
    let words = format!("partition 0 of {changelog} has not taken a record within 10 s");
    assert!(site.log().contains(&words), "{}", site.log());
    assert_eq!(applied(), first, "nothing leaves before its commit");

    kafka.node("restart-node", AWAY);
    eventually("further pushes", || applied() > first);
    assert_eq!(terminate(&mut worker), Some(0), "{}", site.log());
    assert_eq!(site.run(&["--until-caught-up"]), Some(0), "{}", site.log());
    assert_eq!(sandbox.report().violations_total, 0);
}
