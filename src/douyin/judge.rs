//! Judges the answers to pushes as they come in. An answer in the very bytes of the last acceptance is not read again: where
//! the platform puts no name of its own into answers, nearly all of them are one and the same.

use std::sync::Arc;

use super::log_id::log_id;
use super::table::OutcomeTable;
use super::verdict::{Answer, Exchange, Judgement, Verdict, judge_push};

/// A longer answer is read each time; real ones have under 1 KiB.
const REMEMBERED_BYTES_MAX: usize = 1024;

/// What an exchange came to.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The verdict and its grounds.
    pub judgement: Judgement,
    /// The platform's name of an answer that accepts, where it gave one.
    pub log_id: Option<Box<str>>,
}

/// Judges by one table, and remembers the last acceptance.
pub struct PushJudge {
    table: Arc<OutcomeTable>,
    last: Option<(Answer, Judged)>,
}

impl PushJudge {
    /// A judge by `table`.
    pub const fn new(table: Arc<OutcomeTable>) -> Self {
        Self { table, last: None }
    }

    /// The same as [`judge_push`] and [`log_id`] for every exchange.
    pub fn judge(&mut self, exchange: &Exchange) -> Judged {
        let Exchange::Answered(answer) = exchange else { return self.read(exchange) };
        if let Some((last, judged)) = &self.last
            && last == answer
        {
            return judged.clone();
        }
        let judged = self.read(exchange);
        if judged.judgement.verdict == Verdict::Accepted && answer.body.len() <= REMEMBERED_BYTES_MAX {
            self.last = Some((answer.clone(), judged.clone()));
        }
        judged
    }

    fn read(&self, exchange: &Exchange) -> Judged {
        let judgement = judge_push(exchange, &self.table);
        let log_id = match exchange {
            Exchange::Answered(answer) if judgement.verdict == Verdict::Accepted => log_id(&answer.body),
            Exchange::Answered(_) | Exchange::Broken(_) => None,
        };
        Judged { judgement, log_id }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::verdict::Break;
    use super::*;

    fn answered(status: u16, retry_after: Option<u64>, body: &str) -> Exchange {
        Exchange::Answered(Answer { status, retry_after: retry_after.map(Duration::from_secs), body: body.into() })
    }

    #[test]
    fn whatever_came_before_an_answer_is_judged_as_it_stands() {
        let plain = r#"{"err_code":0,"err_msg":"","body":""}"#;
        let named = |id: &str| format!(r#"{{"err_code":0,"extra":{{"logid":"{id}"}}}}"#);
        let long = format!(r#"{{"err_code":0,"err_msg":"{}"}}"#, "x".repeat(REMEMBERED_BYTES_MAX));
        let exchanges = [
            answered(200, None, plain),
            answered(500, None, plain),
            answered(200, Some(7), plain),
            answered(200, None, r#"{"err_code":40002,"err_msg":"","body":""}"#),
            answered(200, None, &named("a1")),
            answered(200, None, &named("a2")),
            answered(200, None, &long),
            answered(200, None, r#"{"err_code":0,"err_msg":"","body":"{\"error_code\":2}"}"#),
            Exchange::Broken(Break::Reset),
        ];
        let table = Arc::new(OutcomeTable::built_in().unwrap());
        let mut judge = PushJudge::new(Arc::clone(&table));
        let mut check = |exchange: &Exchange| {
            let (judged, alone) = (judge.judge(exchange), PushJudge::new(Arc::clone(&table)).judge(exchange));
            assert_eq!(format!("{judged:?}"), format!("{alone:?}"));
            assert_eq!(format!("{:?}", judged.judgement), format!("{:?}", judge_push(exchange, &table)));
        };
        for first in &exchanges {
            for second in &exchanges {
                [first, first, second, second, first].into_iter().for_each(&mut check);
            }
        }
    }

    #[test]
    fn an_acceptance_that_comes_again_is_not_read_again() {
        let mut judge = PushJudge::new(Arc::new(OutcomeTable::built_in().unwrap()));
        let exchange = answered(200, None, r#"{"err_code":0,"err_msg":"","body":""}"#);
        let first = judge.judge(&exchange);
        // What is remembered is told, and nothing is read.
        if let Some((_, judged)) = &mut judge.last {
            judged.log_id = Some("remembered".into());
        }
        assert_eq!((first.log_id.as_deref(), judge.judge(&exchange).log_id.as_deref()), (None, Some("remembered")));
    }
}
