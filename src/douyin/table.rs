//! The outcome table: which verdict follows from which code, status or finding. Data (config/error-codes.toml), read
//! once, with the user's rules standing before it.
//!
//! It does not read answers; [`super::verdict`] does, and asks here.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::table_text::{BUILT_IN, parse};
use super::verdict::{Break, Judgement, Verdict};

/// Which endpoint an answer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `order/v2/push`
    Push,
    /// getAccessToken, `/api/apps/v2/token`
    AccessToken,
    /// `client_token` and `stable_client_token`
    ClientToken,
}

/// What the reader of an answer found where no code decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The code is 0 and nothing speaks against it.
    Success,
    /// The code is 0 and the inner body is not JSON.
    OpaqueBody,
    /// The code is 0 and the inner body begins as a JSON object but does not parse.
    InnerBodyCutOff,
    /// The code is 0 and the inner error code is no number.
    InnerCodeUnreadable,
    /// The code is 0 and the inner error code is not in the table.
    UnknownInnerCode,
    /// The code is not in the table.
    UnknownCode,
    /// The body is no JSON object.
    NoJsonObject,
    /// The body has no integer code.
    NoCode,
    /// The code is 0 and the HTTP status is none of success.
    SuccessRefuted,
    /// A token endpoint says success and gives no usable token.
    NoToken,
}

/// What makes a rule hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// One of these codes; where `contains` is not empty, with one of its texts (lower-case ASCII) in the message.
    Code {
        /// The platform's codes.
        codes: Vec<i64>,
        /// Texts of which the message must contain one.
        contains: Vec<String>,
    },
    /// There was no whole answer.
    Broken(Break),
    /// The HTTP status, where no code decides.
    Http(RangeInclusive<u16>),
    /// The reader's finding.
    Found(Finding),
}

/// One rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Stable and unique.
    pub name: Arc<str>,
    /// Where it holds.
    pub at: Vec<Endpoint>,
    /// When it holds.
    pub on: Trigger,
    /// What follows.
    pub verdict: Verdict,
    /// The wait that the platform asks for with this code.
    pub wait: Option<Duration>,
    /// For people.
    pub meaning: String,
    /// Where the knowledge comes from.
    pub source: String,
}

/// A rule of the user's, to stand before the built-in ones. It holds for the push, outer and inner codes alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRule {
    /// The code; not 0, which is success and stays so.
    pub code: i64,
    /// Holds only where the message contains this text, ignoring ASCII case.
    pub message_contains: Option<String>,
    /// `accepted`, `retry`, `refresh_token`, `reject` or `suspend`.
    pub verdict: String,
    /// For people.
    pub meaning: String,
}

/// The table cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// A rule of the user's is wrong.
    #[error("rule {index} (code {code}) in douyin.error_codes: {fault}")]
    UserRule {
        /// Counted from 1.
        index: usize,
        /// Its code.
        code: i64,
        /// What is wrong, and what to write.
        fault: String,
    },
    /// The table in the program is wrong: a fault of this release.
    #[error("the built-in outcome table is broken, please report it: {0}")]
    BuiltIn(String),
}

/// All rules, in the order in which they are tried.
#[derive(Clone, Debug)]
pub struct OutcomeTable {
    rules: Vec<Rule>,
}

impl OutcomeTable {
    /// The built-in table behind the user's rules.
    pub fn new(user: &[UserRule]) -> Result<Self, TableError> {
        let mut rules = Vec::with_capacity(user.len() + 64);
        for (i, rule) in user.iter().enumerate() {
            let name = user_rule_name(rule, user.iter().take(i).filter(|r| r.code == rule.code).count());
            rules.push(user_rule(rule, name).map_err(|fault| TableError::UserRule {
                index: i + 1,
                code: rule.code,
                fault,
            })?);
        }
        rules.extend(parse(BUILT_IN).map_err(TableError::BuiltIn)?);
        Ok(Self { rules })
    }

    /// The built-in table alone.
    pub fn built_in() -> Result<Self, TableError> {
        Self::new(&[])
    }

    /// Every rule, in the order in which they are tried.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The rule of this name, for its meaning and source.
    pub fn rule(&self, name: &str) -> Option<&Rule> {
        self.rules.iter().find(|rule| &*rule.name == name)
    }

    /// The first rule for a code and its message.
    pub(super) fn on_code(&self, at: Endpoint, code: i64, message: &str) -> Option<Judgement> {
        let message = message.to_ascii_lowercase();
        self.first(at, |on| match on {
            Trigger::Code { codes, contains } => {
                codes.contains(&code)
                    && (contains.is_empty() || contains.iter().any(|text| message.contains(text.as_str())))
            }
            Trigger::Broken(_) | Trigger::Http(_) | Trigger::Found(_) => false,
        })
        .map(|rule| Judgement { err_code: Some(code), ..rule.judgement() })
    }

    /// What follows from there being no whole answer.
    pub(super) fn on_broken(&self, at: Endpoint, broken: Break) -> Judgement {
        self.or_retry(at, |on| *on == Trigger::Broken(broken))
    }

    /// What follows from the HTTP status alone.
    pub(super) fn on_status(&self, at: Endpoint, status: u16) -> Judgement {
        self.or_retry(at, |on| match on {
            Trigger::Http(range) => range.contains(&status),
            Trigger::Code { .. } | Trigger::Broken(_) | Trigger::Found(_) => false,
        })
    }

    /// What follows from a finding; `code` is the one that it was found beside.
    pub(super) fn on_finding(&self, at: Endpoint, finding: Finding, code: Option<i64>) -> Judgement {
        Judgement { err_code: code, ..self.or_retry(at, |on| *on == Trigger::Found(finding)) }
    }

    fn first(&self, at: Endpoint, holds: impl Fn(&Trigger) -> bool) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.at.contains(&at) && holds(&rule.on))
    }

    /// A table with a hole still judges: what no rule names is tried again and never accepted.
    fn or_retry(&self, at: Endpoint, holds: impl Fn(&Trigger) -> bool) -> Judgement {
        self.first(at, holds).map_or_else(
            || Judgement { verdict: Verdict::Retry, rule: Arc::from("unlisted"), err_code: None, retry_after: None },
            Rule::judgement,
        )
    }
}

impl Rule {
    fn judgement(&self) -> Judgement {
        Judgement { verdict: self.verdict, rule: Arc::clone(&self.name), err_code: None, retry_after: self.wait }
    }
}

fn user_rule_name(rule: &UserRule, earlier: usize) -> String {
    if earlier == 0 { format!("config_{}", rule.code) } else { format!("config_{}_{}", rule.code, earlier + 1) }
}

fn user_rule(rule: &UserRule, name: String) -> Result<Rule, String> {
    if rule.code == 0 {
        return Err("0 is success and cannot be given another verdict; remove the rule".to_owned());
    }
    if rule.message_contains.as_deref() == Some("") {
        return Err("message_contains is empty; leave it out to match every message".to_owned());
    }
    let verdict = Verdict::from_word(&rule.verdict).ok_or_else(|| {
        format!("unknown verdict `{}`; write accepted, retry, refresh_token, reject or suspend", rule.verdict)
    })?;
    Ok(Rule {
        name: name.into(),
        at: vec![Endpoint::Push],
        on: Trigger::Code {
            codes: vec![rule.code],
            contains: rule.message_contains.iter().map(|text| text.to_ascii_lowercase()).collect(),
        },
        verdict,
        wait: None,
        meaning: rule.meaning.clone(),
        source: "douyin.error_codes".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(code: i64, verdict: &str, contains: Option<&str>) -> UserRule {
        UserRule {
            code,
            message_contains: contains.map(ToOwned::to_owned),
            verdict: verdict.to_owned(),
            meaning: "m".to_owned(),
        }
    }

    #[test]
    fn the_built_in_table_parses_and_names_are_unique() {
        let table = OutcomeTable::built_in().unwrap();
        let mut names: Vec<_> = table.rules().iter().map(|r| r.name.clone()).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), table.rules().len());
        assert!(table.rules().iter().all(|r| !r.meaning.is_empty() && !r.source.is_empty()));
        assert!(table.rule("bad_access_token").is_some());
    }

    #[test]
    fn user_rules_stand_before() {
        let rules = [user(40099, "retry", Some("Busy")), user(40099, "suspend", None), user(77, "accepted", None)];
        let table = OutcomeTable::new(&rules).unwrap();
        let check = |code, message, name: &str, verdict| {
            let j = table.on_code(Endpoint::Push, code, message).unwrap();
            assert_eq!((&*j.rule, j.verdict), (name, verdict));
        };
        check(40099, "so bUSY today", "config_40099", Verdict::Retry);
        check(40099, "", "config_40099_2", Verdict::Suspend);
        check(77, "", "config_77", Verdict::Accepted);
        check(40003, "", "open_id_wrong", Verdict::Reject);
        assert!(table.on_code(Endpoint::AccessToken, 77, "").is_none(), "user rules are for the push");
    }

    #[test]
    fn bad_user_rules_are_named() {
        let check = |rule: UserRule, expect: &str| {
            let e = OutcomeTable::new(&[user(1, "retry", None), rule]).unwrap_err().to_string();
            assert!(e.contains("rule 2") && e.contains("douyin.error_codes") && e.contains(expect), "{e}");
        };
        check(user(5, "ignore", None), "unknown verdict `ignore`");
        check(user(0, "retry", None), "0 is success");
        check(user(5, "retry", Some("")), "message_contains is empty");
    }
}
